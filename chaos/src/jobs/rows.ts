/**
 * Every way to fail that the simulator can produce, and what `docs/errors.md` says of it: how the job must end, and
 * after how many calls. A row `heals` after some strikes or stays; which of both it is, its spelling says (`*1`).
 */
import type { JobKind } from "@sluice/job";
import type { Expected } from "../check.ts";

/** A pool has its own breaker, ceiling and retry budget, a scope its own clock and day: faults of one spare others. */
export type Place =
  /** Most pools: whatever speaks of one call. */
  | "main"
  /** Credentials and access. Jobs of one kind each, since failures of several kinds isolate a pool for minutes. */
  | "access"
  /** The SDK corrects the clock of a client, which all pools of a scope share. */
  | "skew"
  /** One throttle for tokens per day parks a scope for a quarter of an hour. */
  | "day";

export interface Row {
  /** As the simulator spells it; `undefined`: nothing happens. */
  readonly fault: string | undefined;
  readonly kinds: readonly JobKind[];
  readonly expected: Expected;
  readonly place: Place;
  /** Default: the plan's. */
  readonly deadlineMs?: number;
}

/** A job may fail so often by its own fault. */
export const MAX_ATTEMPTS = 2;

/** For jobs that no answer will ever end: long enough for several throttles, short enough to wait for. */
export const SHORT_DEADLINE_MS = 15_000;

/** A systemic failure puts a job off so often before it is dead. */
const SYSTEMIC_CALLS = 4;

const ALL: readonly JobKind[] = ["converse", "stream", "invoke", "async"];
const TEXT: readonly JobKind[] = ["converse", "stream", "invoke"];
const WHOLE: readonly JobKind[] = ["converse", "invoke"];
const STREAM: readonly JobKind[] = ["stream"];

function row(fault: string | undefined, kinds: readonly JobKind[], expected: Expected): Row {
  return { fault, kinds, expected, place: "main" };
}

/** Strikes once (or `strikes` times), then the job completes. */
function heals(fault: string, kinds: readonly JobKind[], strikes = 1): Row {
  const calls = strikes + 1;
  return row(`${fault}*${strikes}`, kinds, { end: "completed", calls: [calls, calls] });
}

/** The first call ends it. */
function ends(fault: string, kinds: readonly JobKind[], errorClass: string): Row {
  return row(fault, kinds, { end: "dead", errorClass, calls: [1, 1] });
}

/** Every attempt fails alike. */
function stays(fault: string, kinds: readonly JobKind[], errorClass: string): Row {
  return row(fault, kinds, { end: "dead", errorClass, calls: [MAX_ATTEMPTS, MAX_ATTEMPTS] });
}

/** An answer all the same. */
function answers(fault: string | undefined, kinds: readonly JobKind[], end: "completed" | "filtered"): Row {
  return row(fault, kinds, { end, calls: [1, 1] });
}

/** A quota that is never there: the job comes back until its deadline. */
function starves(fault: string, kinds: readonly JobKind[]): Row {
  const expected = { end: "dead", errorClass: "DeadlineExceeded", calls: [0, 40] } as const;
  return { ...row(fault, kinds, expected), deadlineMs: SHORT_DEADLINE_MS };
}

/** Bedrock took the invocation on and could not say so: it goes on, and its token alone keeps it from being a second. */
function unheard(of: Row): Row {
  return { ...of, expected: { ...of.expected, unheard: 1 } };
}

/** Exceptions that a stream can carry. */
const IN_STREAM = [
  "InternalServerException",
  "ModelStreamErrorException",
  "ServiceUnavailableException",
  "ThrottlingException",
] as const;

const throttles = ["too-many-requests", "too-many-tokens", "retry-after", "overloaded"];
const stumbles = [
  ["InternalServerException", "InternalServerException"],
  ["InternalFailure", "InternalFailure"],
  ["ServiceUnavailableException", "ServiceUnavailableException"],
  ["OverloadedException", "OverloadedException"],
  ["too-many-connections", "ServiceUnavailableException"],
  ["ModelTimeoutException", "ModelTimeoutException"],
  ["ModelErrorException", "ModelErrorException"],
  ["html", "HttpStatus503"],
  ["reset", "ConnectionError"],
] as const;
const refusals = [
  "ValidationException",
  "ResourceNotFoundException",
  "ConflictException",
  "ServiceQuotaExceededException",
];
const noAccess = ["AccessDeniedException", "InvalidClientTokenId", "MissingAuthenticationTokenException"];

/** A job to which nothing happens. */
export const HEALTHY: Row = answers(undefined, ALL, "completed");

export const ROWS: readonly Row[] = [
  ...throttles.map((fault) => heals(fault, ALL)),
  heals("error-body", ALL),
  heals("ThrottlingException", ALL, 2),
  heals("ModelNotReadyException", ALL, 2),
  starves("too-many-requests", TEXT),
  starves("ModelNotReadyException", WHOLE),

  ...stumbles.map(([fault]) => heals(fault, ALL)),
  ...stumbles.map(([fault, errorClass]) => stays(fault, ALL, errorClass)),
  heals("reset@mid", ALL),
  stays("reset@mid", TEXT, "ConnectionError"),
  unheard(stays("reset@mid", ["async"], "ConnectionError")),
  heals("hang", ALL),
  heals("hang@mid", TEXT),
  stays("hang", TEXT, "TimeoutError"),
  heals("early-end", ALL),
  stays("early-end", WHOLE, "UnreadableAnswer"),
  stays("early-end", STREAM, "BrokenStream"),

  ...IN_STREAM.flatMap((name) => [heals(`${name}@first`, STREAM), heals(`${name}@mid`, STREAM)]),
  stays("ModelStreamErrorException@mid", STREAM, "ModelStreamErrorException"),
  stays("InternalServerException@first", STREAM, "InternalServerException"),
  ends("ValidationException@first", STREAM, "ValidationException"),
  ends("ValidationException@mid", STREAM, "ValidationException"),
  heals("truncated-frame", STREAM),
  heals("bad-checksum", STREAM),
  stays("truncated-frame", STREAM, "BrokenStream"),
  stays("bad-checksum", STREAM, "BrokenStream"),

  ...refusals.map((name) => ends(name, ALL, name)),

  answers("content_filtered", TEXT, "filtered"),
  answers("guardrail_intervened", TEXT, "filtered"),
  answers("guardrail-empty", TEXT, "filtered"),
  answers("no-content", TEXT, "completed"),
  answers("no-usage", TEXT, "completed"),
  answers("max_tokens", TEXT, "completed"),
  answers("malformed_model_output", ["converse", "stream"], "completed"),
  answers("model_context_window_exceeded", TEXT, "completed"),
  answers("slow", TEXT, "completed"),

  ends("async-failure", ["async"], "AsyncInvokeFailed"),

  ...noAccess.map((name): Row => ({
    ...row(name, ["converse"], {
      end: "dead",
      errorClass: name,
      calls: [SYSTEMIC_CALLS, SYSTEMIC_CALLS],
    }),
    place: "access",
  })),
  { ...heals("AccessDeniedException", ["converse"]), place: "access" },
  { ...heals("clock-skew", ["converse", "stream"]), place: "skew" },
  {
    ...row("too-many-tokens-per-day", ["converse"], {
      end: "dead",
      errorClass: "DeadlineExceeded",
      calls: [0, 1],
    }),
    place: "day",
    deadlineMs: SHORT_DEADLINE_MS,
  },
];
