/**
 * Every row of the failure table over the wire, for every kind of call: refused by status, and within a stream on both
 * sides of its first frame. The simulator's ledger says that each was one request.
 */
import { FAILURES, type FailureCharge, type FailureRow, type FailureRule } from "@sluice/job";
import { start, type Fault, type Simulator } from "@sluice/simulator";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import type { BedrockOptions } from "../src/index.ts";
import { sendError, startEndpoint, type Endpoint } from "./endpoint.ts";
import { kinds, open, SECRET, type Given, type Kind } from "./kinds.ts";

type ErrorFault = Extract<Fault, { type: "error" }>;

function error(name: string, extra: Partial<ErrorFault> = {}): ErrorFault {
  return { type: "error", name, ...extra };
}

function throttle(message: string): ErrorFault {
  return error("ThrottlingException", { message });
}

/** What makes a row happen. */
interface Row {
  /** An exception: as a status for every kind of call, and within a stream. */
  readonly exceptions?: readonly ErrorFault[];
  /** Before the response, for every kind of call. */
  readonly start?: readonly Fault[];
  /** Within the body of a response that is no stream. */
  readonly body?: readonly Fault[];
  /** In the middle of a stream. */
  readonly stream?: readonly Fault[];
  /** What the client is given instead of what works. `plain` is a server that does not speak TLS. */
  readonly client?: (plain: string) => Partial<BedrockOptions>;
}

const rows: Readonly<Record<FailureRule, Row>> = {
  requestsThrottled: { exceptions: [throttle("Too many requests, please wait before trying again.")] },
  tokensThrottled: { exceptions: [throttle("Too many tokens, please wait before trying again.")] },
  dayThrottled: { exceptions: [throttle("Too many tokens per day, please wait before trying again.")] },
  overloaded: { exceptions: [throttle("Model {model} is currently overloaded. Please try again later.")] },
  throttled: { exceptions: [throttle("Rate exceeded")] },
  modelNotReady: { exceptions: [error("ModelNotReadyException")] },
  unavailable: { exceptions: [error("ServiceUnavailableException"), error("OverloadedException")] },
  internal: { exceptions: [error("InternalServerException"), error("InternalFailure")] },
  modelTimeout: { exceptions: [error("ModelTimeoutException")] },
  modelFailed: {
    exceptions: [429, 500, 503].map((originalStatusCode) =>
      error("ModelErrorException", { originalStatusCode }),
    ),
  },
  modelUnclear: { exceptions: [error("ModelErrorException")] },
  modelError: {
    exceptions: [400, 424].map((originalStatusCode) => error("ModelErrorException", { originalStatusCode })),
  },
  streamRefused: {
    exceptions: [400, 403].map((originalStatusCode) =>
      error("ModelStreamErrorException", { originalStatusCode }),
    ),
  },
  streamError: {
    exceptions: [
      error("ModelStreamErrorException"),
      ...[408, 424, 429, 502].map((originalStatusCode) =>
        error("ModelStreamErrorException", { originalStatusCode, originalMessage: SECRET }),
      ),
    ],
  },
  brokenStream: { stream: [{ type: "early-end" }, { type: "truncated-frame" }, { type: "bad-checksum" }] },
  modelGone: {
    exceptions: [error("ValidationException", { message: "The provided model identifier is invalid." })],
  },
  invalid: {
    exceptions: [error("ValidationException", { message: `Malformed input request: '${SECRET}'` })],
  },
  notFound: { exceptions: [error("ResourceNotFoundException")] },
  unknownOperation: { start: [error("UnknownOperationException", { status: 404 })] },
  conflict: { exceptions: [error("ConflictException")] },
  quotaExceeded: { exceptions: [error("ServiceQuotaExceededException")] },
  // Within a stream there is no Date to correct a clock by.
  clockCorrected: { start: [error("AccessDeniedException", { dateSkewSeconds: 600 })] },
  badKey: { exceptions: [error("AccessDeniedException", { message: "Bearer Token has expired" })] },
  accessDenied: {
    exceptions: [
      error("AccessDeniedException"),
      error("FTUFormNotFilled"),
      error("MPAgreementBeingCreated", { status: 403 }),
    ],
  },
  badCredentials: {
    exceptions: [
      error("UnrecognizedClientException", { status: 403 }),
      error("ExpiredTokenException", { status: 403 }),
      error("InvalidSignatureException", { status: 403 }),
      error("IncompleteSignature"),
      error("InvalidClientTokenId"),
      error("MissingAuthenticationTokenException"),
      error("RequestExpired"),
    ],
  },
  noCredentials: {
    client: () => ({
      credentials: async () => {
        throw Object.assign(new Error("Could not load credentials"), { name: "CredentialsProviderError" });
      },
    }),
  },
  untrusted: { client: (plain) => ({ endpoint: plain.replace("http:", "https:") }) },
  unreachable: { client: () => ({ endpoint: "http://127.0.0.1:1" }) },
  cut: {
    start: [{ type: "reset", at: "before-headers" }],
    body: [{ type: "reset", at: "mid-body" }],
    stream: [{ type: "reset", at: "mid-body" }],
  },
  timeout: {
    start: [{ type: "hang", at: "before-headers" }],
    body: [{ type: "hang", at: "mid-body" }],
    stream: [{ type: "hang", at: "mid-body" }],
  },
  unreadable: { body: [{ type: "early-end" }] },
  // Of the invocation itself, not of a call: see the tests of async invocations.
  asyncFailed: {},
  asyncStopped: {},
  status429: { start: [error("SlowDown", { status: 429 })] },
  status408: { start: [error("TooSlow", { status: 408 })] },
  refusedInFront: {
    start: [
      error("NewDenial", { status: 401 }),
      error("NewDenial", { status: 403 }),
      ...[400, 404, 407, 413].map((status) => ({ type: "html", status }) as const),
    ],
  },
  status4xx: { start: [error("SerializationException"), error("NewRefusal", { status: 413 })] },
  status503: { start: [error("NewFault", { status: 529 }), { type: "html", status: 503 }] },
  status5xx: { start: [error("NewFault", { status: 502 }), { type: "html", status: 502 }] },
  unknown: { stream: [error("SomethingNewException", { at: "mid-stream" })] },
};

/** A fault in a few words, for the name of its test. */
function wordsOf({ type, ...rest }: Fault): string {
  return [type, ...Object.values(rest)].join(" ");
}

const named = Object.keys(FAILURES).flatMap((rule) => (isRuleName(rule) ? [{ rule, row: rows[rule] }] : []));

/** Longer than a healthy call takes on a busy machine. */
const TIMEOUT_MS = 20_000;
/** For a call that will hang: what comes before the silence has to fit in. */
const HANG_MS = 500;

let simulator: Simulator;
let plain: Endpoint;
let invocationArn: string;
let jobs = 0;

beforeAll(async () => {
  simulator = await start({ timeScale: 0 });
  plain = await startEndpoint((response) => sendError(response, 400));
  const bedrock = open(simulator.url);
  const started = await kinds.startAsync.make(bedrock, given());
  bedrock.close();
  if (started.type !== "started") throw new Error(`Expected a start, got ${JSON.stringify(started)}`);
  ({ invocationArn } = started);
});

afterAll(async () => {
  await simulator.stop();
  await plain[Symbol.asyncDispose]();
});

function isRuleName(name: string): name is FailureRule {
  return Object.hasOwn(FAILURES, name);
}

function given(): Given & { texts: string[] } {
  const texts: string[] = [];
  jobs += 1;
  return {
    jobId: `claude.bulk.${jobs}`,
    timeoutMs: TIMEOUT_MS,
    invocationArn,
    onText: (text) => texts.push(text),
    texts,
  };
}

/** Makes one call that meets a fault. A client of its own, since one call can correct the clock for the next. */
async function meet(kind: Kind, fault: Fault) {
  const { next } = simulator.calls();
  const [id] = simulator.addFaults([{ operation: kind.operation, fault }]);
  const bedrock = open(simulator.url);
  onTestFinished(() => {
    simulator.removeFaults(id);
    bedrock.close();
  });
  const of = given();
  const timeoutMs = fault.type === "hang" ? HANG_MS : TIMEOUT_MS;
  const result = await kind.make(bedrock, { ...of, timeoutMs });
  // The simulator hears of an end a little later than we do.
  await expect.poll(() => simulator.calls(next).calls).toHaveLength(1);
  const [evidence] = simulator.calls(next).calls;
  expect(evidence).toMatchObject({ attempt: 1, maxAttempts: 1 });
  expect(JSON.stringify(result)).not.toContain(SECRET);
  return { result, texts: of.texts, evidence };
}

function verdictOf(rule: FailureRule, charge: FailureCharge = FAILURES[rule].charge) {
  const { kind, dimension, errorClasses }: FailureRow = FAILURES[rule];
  return {
    type: "failed",
    failure: {
      kind,
      errorClass: expect.toSatisfy((name) => errorClasses.length === 0 || errorClasses.includes(name)),
      ...(dimension === undefined ? {} : { dimension }),
    },
    rule,
    charge,
  };
}

function expectVerdict(kind: Kind, result: unknown, rule: FailureRule): void {
  const { failure, ...verdict } = verdictOf(rule);
  const isStopped = kind === kinds.pollAsync && (rule === "notFound" || FAILURES[rule].costs === "life");
  const stopped = { type: "stopped", failure: { ...failure, kind: "terminal" } };
  expect(result).toMatchObject(isStopped ? stopped : { ...verdict, failure });
}

describe.each(Object.entries<Kind>(kinds))("%s", (_, kind) => {
  const isStream = kind === kinds.stream || kind === kinds.invokeStream;
  const cases = named.flatMap(({ rule, row }) =>
    [...(row.exceptions ?? []), ...(row.start ?? []), ...(isStream ? [] : (row.body ?? []))].map((fault) => ({
      rule,
      by: wordsOf(fault),
      fault,
    })),
  );

  test.each(cases)("before its response: $rule by $by", async ({ rule, fault }) => {
    const { result } = await meet(kind, fault);
    expectVerdict(kind, result, rule);
    expect(result).not.toHaveProperty("observedOutputTokens");
  });

  const elsewhere = named.filter(({ row }) => row.client !== undefined);
  test.each(elsewhere)("never sent: $rule", async ({ rule, row }) => {
    const { next } = simulator.calls();
    const bedrock = open(simulator.url, row.client?.(plain.url));
    onTestFinished(() => bedrock.close());
    expectVerdict(kind, await kind.make(bedrock, given()), rule);
    expect(simulator.calls(next).calls).toEqual([]);
  });
});

describe.each([
  ["stream", kinds.stream],
  ["invokeStream", kinds.invokeStream],
])("within %s", (_, kind) => {
  const exceptions = named.flatMap(({ rule, row }) =>
    (row.exceptions ?? []).map((fault) => ({ rule, by: wordsOf(fault), fault })),
  );

  test.each(exceptions)("$rule as the first frame, by $by", async ({ rule, fault }) => {
    const { result, texts, evidence } = await meet(kind, { ...fault, at: "first-frame" });
    expect(result).toMatchObject(verdictOf(rule));
    expect(result).toHaveProperty("failure.requestId", evidence?.requestId);
    expect(result).not.toHaveProperty("failure.status");
    expect(result).not.toHaveProperty("observedOutputTokens");
    expect(texts).toEqual([]);
  });

  const breaks = named.flatMap(({ rule, row }) => {
    const thrown = (row.exceptions ?? []).map((fault): Fault => ({ ...fault, at: "mid-stream" }));
    return [...thrown, ...(row.stream ?? [])].map((fault) => ({ rule, by: wordsOf(fault), fault }));
  });

  test.each(breaks)("$rule after half an answer, by $by", async ({ rule, fault }) => {
    const { result, texts, evidence } = await meet(kind, fault);
    expect(result).toMatchObject(verdictOf(rule, "estimate"));
    expect(result).toHaveProperty("failure.requestId", evidence?.requestId);
    expect(texts.length).toBeGreaterThan(1);
    for (const text of texts) expect(JSON.stringify(result)).not.toContain(text);
    // What we think has been written, against what the simulator has written by then.
    const written = evidence?.outputTokens ?? 0;
    expect(result).toHaveProperty(
      "observedOutputTokens",
      expect.toSatisfy((seen) => seen >= written * 0.8),
    );
    expect(result).toHaveProperty(
      "observedOutputTokens",
      expect.toSatisfy((seen) => seen <= written * 1.3),
    );
  });
});
