/** From what the SDK throws to a row of the failure table. Pure. */
import { FAILURES, type Failure, type FailureRule } from "@sluice/job";
import { safeMessage } from "./message.ts";
import { readSignals, type Circumstances, type Signals } from "./signals.ts";

export type Verdict =
  /** A content filter spoke by exception, as image models do. */
  | { readonly type: "filtered" }
  | {
      readonly type: "failed";
      readonly rule: FailureRule;
      readonly failure: Failure;
    };

const CONTENT_FILTER = /content filter|blocked by our content filters|responsible ai/i;

/** The order matters: the message of the daily quota has 'too many tokens' in it as well. */
const THROTTLES: readonly (readonly [RegExp, FailureRule])[] = [
  [/tokens per day/i, "dayThrottled"],
  [/too many tokens/i, "tokensThrottled"],
  [/too many requests/i, "requestsThrottled"],
  [/overloaded/i, "overloaded"],
];

const NOT_CONNECTED =
  /^(?:ECONNREFUSED|ENOTFOUND|EAI_\w+|EHOST(?:UNREACH|DOWN)|ENET(?:UNREACH|DOWN)|EADDRNOTAVAIL|ERR_TLS_HANDSHAKE_TIMEOUT|ERR_INVALID_URL|ERR_INVALID_PROTOCOL)$/;
const CONNECTION_CUT = /^(?:ECONNRESET|ECONNABORTED|EPIPE|ERR_HTTP2_\w+|ERR_STREAM_\w+|HPE_\w+)$/;
const NOT_TRUSTED =
  /^(?:CERT_\w+|UNABLE_TO_\w+|DEPTH_ZERO_\w+|SELF_SIGNED_\w+|ERR_TLS_\w+|ERR_SSL_\w+|EPROTO)$/;
const BROKEN_STREAM = /^Truncated event message|^The (?:message|prelude) checksum/;

/** What Bedrock says of a model that nobody can call like this, whatever is asked of it. */
const NOT_CALLABLE =
  /on-demand throughput isn.t supported|doesn.t support on-demand throughput|doesn.t support the model|^operation not allowed|model identifier is invalid|reached the end of its life|end of life|model is (?:no longer|not) (?:available|supported)/i;

/** What Bedrock says of a key rather than of what its owner may do. */
const ABOUT_A_KEY = /\bapi key\b|\bbearer token\b|\bsecurity token\b/i;

/** Rows that a name alone leads to. */
const BY_NAME: ReadonlyMap<string, FailureRule> = new Map(
  (
    [
      "modelNotReady",
      "unavailable",
      "internal",
      "modelTimeout",
      "notFound",
      "unknownOperation",
      "conflict",
      "quotaExceeded",
      "accessDenied",
      "badCredentials",
      "noCredentials",
    ] as const
  ).flatMap((rule) => FAILURES[rule].errorClasses.map((name) => [name, rule] as const)),
);

/**
 * Classifies whatever a call threw. Our own abort and time-out are to be told apart before: an aborted call can
 * look like a broken connection.
 * @param now milliseconds since the epoch.
 */
export function classify(error: unknown, now: number, circumstances?: Circumstances): Verdict {
  const signals = readSignals(error, now, circumstances);
  const { name, message } = signals;
  if ((name === "ValidationException" || name === "ModelErrorException") && CONTENT_FILTER.test(message)) {
    return { type: "filtered" };
  }
  return failedBy(ruleFor(signals), signals);
}

/** The failure of a call that took longer than it may: over its answer, or over a connection to ask on. */
export function timedOut(
  timeoutMs: number,
  { sent = true }: Circumstances = {},
): Verdict & { type: "failed" } {
  if (!sent) return failedBy("unreachable", { message: `No connection within ${timeoutMs} ms` });
  return failedBy("timeout", { message: `No whole answer within ${timeoutMs} ms` });
}

/** The failure of a stream that fell silent. */
export function silent(silenceMs: number, { sent = true }: Circumstances = {}): Verdict & { type: "failed" } {
  if (!sent) return timedOut(silenceMs, { sent });
  return failedBy("timeout", { message: `The stream was silent for ${silenceMs} ms` });
}

/** The failure of a call for which no credentials came. Whatever got in the way, it was not in the way of the call. */
export function noIdentity(cause: unknown, now: number): Verdict & { type: "failed" } {
  const { name, code, message } = readSignals(cause, now);
  const isKnown = FAILURES.noCredentials.errorClasses.includes(name);
  const told = [isKnown ? "" : name, code ?? "", message].filter((part) => part !== "");
  return failedBy("noCredentials", { name, message: told.join(": ") });
}

/** The failure of a call whose answer makes no sense. */
export function unreadable(): Verdict & { type: "failed" } {
  return failedBy("unreadable", { message: "The response has no answer in it" });
}

/** The failure of a stream that ended as if it were complete, and was not. */
export function endedEarly(): Verdict & { type: "failed" } {
  return failedBy("brokenStream", { message: "The stream ended before the answer did" });
}

/**
 * The failure of an async invocation that is over without an answer.
 * @param status Bedrock's word. Only `Failed` is documented.
 */
export function invocationEnded(status: string, message: string): Verdict {
  // What a filter says is no different for having been said later.
  if (CONTENT_FILTER.test(message)) return { type: "filtered" };
  return failedBy(status === "Failed" ? "asyncFailed" : "asyncStopped", { message });
}

function failedBy(rule: FailureRule, signals: Partial<Signals>): Verdict & { type: "failed" } {
  const { errorClasses, kind, dimension } = FAILURES[rule];
  const { name = "", status, requestId, retryAfterMs } = signals;
  return {
    type: "failed",
    rule,
    failure: {
      kind,
      errorClass: errorClasses.includes(name) ? name : (errorClasses[0] ?? openClass(name, status)),
      message: safeMessage(signals.message ?? ""),
      ...(dimension === undefined ? {} : { dimension }),
      ...(status === undefined ? {} : { status }),
      ...(requestId === undefined ? {} : { requestId }),
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    },
  };
}

/** Codes before names, since a reset is named TimeoutError; names before status, since streams have none. */
function ruleFor(signals: Signals): FailureRule {
  return byCode(signals) ?? byName(signals) ?? byStatus(signals);
}

function byCode({ code, syscall, sent }: Signals): FailureRule | undefined {
  if (code === undefined) return undefined;
  if (NOT_CONNECTED.test(code)) return "unreachable";
  // What broke before the request was on its way has cost nothing, in the handshake or on a socket that was dead.
  if (code === "ETIMEDOUT") return syscall === "connect" || !sent ? "unreachable" : "timeout";
  if (CONNECTION_CUT.test(code)) return sent ? "cut" : "unreachable";
  if (NOT_TRUSTED.test(code)) return "untrusted";
  return undefined;
}

function byName(signals: Signals): FailureRule | undefined {
  const { name, message, originalStatusCode: original } = signals;
  switch (name) {
    case "ThrottlingException":
      return THROTTLES.find(([pattern]) => pattern.test(message))?.[1] ?? "throttled";
    case "ValidationException":
      return NOT_CALLABLE.test(message) ? "modelGone" : "invalid";
    case "ModelErrorException":
      // Without a status nobody has said that it is the input: "Try your request again".
      if (original === undefined) return "modelUnclear";
      return original === 429 || original >= 500 ? "modelFailed" : "modelError";
    case "ModelStreamErrorException":
      return original !== undefined &&
        original >= 400 &&
        original < 500 &&
        ![408, 424, 429].includes(original)
        ? "streamRefused"
        : "streamError";
    case "TimeoutError":
      return !signals.sent || message.includes("did not establish a connection") ? "unreachable" : "timeout";
    default:
      if (BROKEN_STREAM.test(message)) return "brokenStream";
      if (signals.clockSkewCorrected && isClockMatter(name)) return "clockCorrected";
      if (name === "AccessDeniedException" && ABOUT_A_KEY.test(message)) return "badKey";
      return BY_NAME.get(name);
  }
}

function isClockMatter(name: string): boolean {
  return FAILURES.clockCorrected.errorClasses.some((known) => known === name);
}

function byStatus({ name, status, wasSuccess }: Signals): FailureRule {
  // A stream that began well can carry an exception nobody has documented; anything else failed to be parsed.
  // Within a stream the parser's error has no status at all.
  const isGarbage = wasSuccess ? !name.endsWith("Exception") : name === "SyntaxError";
  if (status === undefined) return isGarbage ? "unreadable" : "unknown";
  if (status === 429) return "status429";
  if (status === 408) return "status408";
  if (status === 503 || status === 529) return "status503";
  if (status >= 500) return "status5xx";
  // A page, as proxies and gateways send them, is not Bedrock's word on the request.
  return status === 401 || status === 403 || !isWireName(name) ? "refusedInFront" : "status4xx";
}

/** A class for what no row names: the wire name if it is one, else the status. */
function openClass(name: string, status: number | undefined): string {
  if (isWireName(name)) return name;
  return status === undefined ? "UnknownError" : `HttpStatus${status}`;
}

function isWireName(name: string): boolean {
  return /^[A-Z][A-Za-z0-9]{0,63}$/.test(name) && !NO_WIRE_NAMES.has(name);
}

/** What the SDK or JavaScript put there because the response had no name. */
const NO_WIRE_NAMES = new Set(["Error", "SyntaxError", "Unknown", "UnknownError"]);
