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
  /** Credentials: a process that is refused asks nothing more of the scope until it has new ones. */
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

/** For jobs that fail by their own fault: others are answered meanwhile, sooner or later. */
const OWN_DEADLINE_MS = 60_000;

/** More calls than any job gets that is only put off: backoff spaces them. */
const MOST_CALLS = 40;

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

/**
 * Every call fails alike, by the job's own fault: it has its attempts while others are answered, and further calls where
 * nobody was answered meanwhile.
 */
function stays(fault: string, kinds: readonly JobKind[], errorClass: string): Row {
  const expected = { end: "dead", errorClass, calls: [1, MOST_CALLS] } as const;
  return { ...row(fault, kinds, expected), deadlineMs: OWN_DEADLINE_MS };
}

/** An answer all the same. */
function answers(fault: string | undefined, kinds: readonly JobKind[], end: "completed" | "filtered"): Row {
  return row(fault, kinds, { end, calls: [1, 1] });
}

/**
 * Every call is refused before the model works: the job comes back until its deadline, and dies under the name of what
 * refused it; one that was never called, by the deadline.
 */
function starves(fault: string, kinds: readonly JobKind[], errorClass: string): Row {
  const errorClasses = [errorClass, "DeadlineExceeded"];
  const expected = { end: "dead", errorClass: errorClasses, calls: [0, MOST_CALLS] } as const;
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
  ["ModelTimeoutException", "ModelTimeoutException"],
  ["ModelErrorException", "ModelErrorException"],
  ["reset", "ConnectionError"],
] as const;
/** Refused before the model works. */
const disruptions = [
  ["ServiceUnavailableException", "ServiceUnavailableException"],
  ["OverloadedException", "OverloadedException"],
  ["too-many-connections", "ServiceUnavailableException"],
  ["html", "HttpStatus503"],
  ["ServiceQuotaExceededException", "ServiceQuotaExceededException"],
] as const;
const refusals = ["ValidationException", "ConflictException"];
/** Of this one job, since others of its kind are let through. */
const denials = ["AccessDeniedException", "ResourceNotFoundException"];
const badCredentials = ["InvalidClientTokenId", "MissingAuthenticationTokenException"];

/** A job to which nothing happens. */
export const HEALTHY: Row = answers(undefined, ALL, "completed");

/** Breaks a connection, which may have been a kept one, before a byte of the answer. */
const RESET = "reset";

const rows: readonly Row[] = [
  ...throttles.map((fault) => heals(fault, ALL)),
  heals("error-body", ALL),
  heals("ThrottlingException", ALL, 2),
  heals("ModelNotReadyException", ALL, 2),
  starves("too-many-requests", TEXT, "ThrottlingException"),
  starves("ModelNotReadyException", WHOLE, "ModelNotReadyException"),

  ...[...stumbles, ...disruptions].map(([fault]) => heals(fault, ALL)),
  ...disruptions.map(([fault, errorClass]) => starves(fault, ALL, errorClass)),
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

  ...denials.map((name) => heals(name, ["converse"])),
  ...denials.map((name) => stays(name, ["converse"], name)),
  ...badCredentials.map((name): Row => ({ ...starves(name, ["converse"], name), place: "access" })),
  { ...heals("clock-skew", ["converse", "stream"]), place: "skew" },
  { ...starves("too-many-tokens-per-day", ["converse"], "ThrottlingException"), place: "day" },
];

export const ROWS: readonly Row[] = rows.map((each) =>
  each.fault?.split("*", 1)[0] === RESET ? { ...each, expected: { ...each.expected, resent: true } } : each,
);
