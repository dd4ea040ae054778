/**
 * Every way a call can fail, as one table that everybody reads: `bedrock` finds the row, `drain` does what its columns
 * say, the board shows its advice, `docs/errors.md` prints it, and a test holds that page to it.
 */
import type { FailureKind, ThrottleDimension } from "./failure.ts";

/**
 * What a failed call costs its job.
 * `time`: it was refused before the model worked on it, so only the deadline ends such tries.
 * `attempt`: it may be the job's own fault. It counts if other jobs of the pool were answered meanwhile.
 * `call`: as `attempt`, and the model may have worked on it: it may have been paid.
 * `life`: the request will fail the same way every time.
 */
export type FailureCost = "time" | "attempt" | "call" | "life";

/**
 * What the quota is charged for a failed call.
 * `nothing`: it was never sent, or takes no quota. `request`: Bedrock refused it, one request and no tokens.
 * `estimate`: it was cut off or failed while the model was at work, so input and output up to what was asked for may
 * have been used.
 */
export type FailureCharge = "nothing" | "request" | "estimate";

/** What a failure says about the health of the pool: how it failed, and how much that counts, above 0 and at most 1. */
export interface FailureHealth {
  readonly as: "failed" | "timeout";
  readonly weight: number;
}

/**
 * Whose fault a systemic failure is. `identity`: the credentials of one process, whatever it asks. `access`: what the
 * account may do with this model and operation.
 */
export type FailureSubject = "identity" | "access";

export interface FailureRow {
  /** Names that lead to this row, each the `errorClass` of its failures. Empty: any name, found by HTTP status. */
  readonly errorClasses: readonly string[];
  /** What tells the row from others of the same name, for readers. Empty: the name alone. */
  readonly when: string;
  readonly kind: FailureKind;
  readonly dimension?: ThrottleDimension;
  readonly costs: FailureCost;
  /** How many attempts of a job may end so, where that is fewer than the job has. */
  readonly attempts?: number;
  readonly charge: FailureCharge;
  /** Absent: it says nothing about the pool. */
  readonly health?: FailureHealth;
  readonly about?: FailureSubject;
  /** Whether the next pool of the chain may answer: never, at once, or once the failure came again. */
  readonly elsewhere: "never" | "at once" | "again";
  /** What it means and what an operator does about it. */
  readonly advice: string;
}

const failing = { as: "failed", weight: 1 } as const;
/** It may be of one prompt as well as of the pool. */
const perhapsFailing = { as: "failed", weight: 0.5 } as const;

const throttled = { kind: "throttled", costs: "time", charge: "request", elsewhere: "never" } as const;
const stumbled = { kind: "transient", costs: "attempt", charge: "request", elsewhere: "never" } as const;
const broken = { kind: "transient", costs: "call", charge: "estimate", elsewhere: "never" } as const;
const refused = { kind: "terminal", costs: "life", charge: "request", elsewhere: "never" } as const;
const identity = {
  kind: "systemic",
  costs: "time",
  charge: "nothing",
  about: "identity",
  elsewhere: "never",
} as const;
const access = {
  kind: "systemic",
  costs: "attempt",
  charge: "request",
  about: "access",
  elsewhere: "at once",
} as const;

/** The names of the rows. Several rows share a class; their name tells them apart. */
export type FailureRule =
  | "requestsThrottled"
  | "tokensThrottled"
  | "dayThrottled"
  | "overloaded"
  | "throttled"
  | "quotaExceeded"
  | "modelNotReady"
  | "unavailable"
  | "internal"
  | "modelTimeout"
  | "modelFailed"
  | "modelUnclear"
  | "modelError"
  | "streamRefused"
  | "streamError"
  | "brokenStream"
  | "modelGone"
  | "invalid"
  | "notFound"
  | "unknownOperation"
  | "conflict"
  | "clockCorrected"
  | "badKey"
  | "accessDenied"
  | "badCredentials"
  | "noCredentials"
  | "untrusted"
  | "unreachable"
  | "cut"
  | "timeout"
  | "unreadable"
  | "asyncFailed"
  | "asyncStopped"
  | "status429"
  | "status408"
  | "refusedInFront"
  | "status4xx"
  | "status503"
  | "status5xx"
  | "unknown";

export const FAILURES: Readonly<Record<FailureRule, FailureRow>> = {
  // The account's own quota. The message alone says which one.
  requestsThrottled: {
    ...throttled,
    errorClasses: ["ThrottlingException"],
    when: "message has 'too many requests'",
    dimension: "requests",
    advice: "Requests per minute are used up. Replay when the pool has room",
  },
  tokensThrottled: {
    ...throttled,
    errorClasses: ["ThrottlingException"],
    when: "message has 'too many tokens'",
    dimension: "tokens",
    advice: "Tokens per minute are used up. Replay when the pool has room",
  },
  dayThrottled: {
    ...throttled,
    errorClasses: ["ThrottlingException"],
    when: "message has 'tokens per day'",
    dimension: "tokens-per-day",
    advice: "Tokens per day are used up, or the account has no quota at all: then waiting does not help",
  },
  // Capacity that all customers share.
  overloaded: {
    ...throttled,
    errorClasses: ["ThrottlingException"],
    when: "message has 'overloaded'",
    dimension: "capacity",
    health: failing,
    elsewhere: "at once",
    advice: "Capacity that all customers share, not your quota. A fallback pool would have answered",
  },
  throttled: {
    ...throttled,
    errorClasses: ["ThrottlingException"],
    when: "any other message",
    dimension: "unknown",
    advice: "A limit that is not named. Replay when the pool has room",
  },
  quotaExceeded: {
    ...throttled,
    errorClasses: ["ServiceQuotaExceededException"],
    when: "",
    dimension: "capacity",
    elsewhere: "at once",
    advice: "A hard limit of the account, such as invocations at once. Have it raised, then replay",
  },
  modelNotReady: {
    ...throttled,
    errorClasses: ["ModelNotReadyException"],
    when: "",
    dimension: "capacity",
    elsewhere: "at once",
    advice: "The model was being loaded. Says nothing about the quota",
  },

  // The service or the model stumbled.
  unavailable: {
    ...stumbled,
    errorClasses: ["ServiceUnavailableException", "OverloadedException"],
    when: "",
    costs: "time",
    health: failing,
    advice: "A disruption of the service, or too many connections. Replay when it is over",
  },
  internal: {
    ...stumbled,
    errorClasses: ["InternalServerException", "InternalFailure"],
    when: "",
    health: failing,
    advice: "A fault within the service. Replay, and tell AWS the request id if it comes again",
  },
  modelTimeout: {
    ...broken,
    errorClasses: ["ModelTimeoutException"],
    when: "",
    health: { as: "timeout", weight: 0.5 },
    elsewhere: "again",
    advice:
      "The model took too long: lower `maxTokens` or shorten the prompt. Each try may cost a whole generation",
  },
  modelFailed: {
    ...broken,
    errorClasses: ["ModelErrorException"],
    when: "`originalStatusCode` is 429, or 500 and above",
    health: perhapsFailing,
    elsewhere: "at once",
    advice: "The model's provider stumbled. Replay, or give the pool a fallback",
  },
  modelUnclear: {
    ...broken,
    attempts: 3,
    errorClasses: ["ModelErrorException"],
    when: "`originalStatusCode` is missing",
    health: perhapsFailing,
    elsewhere: "at once",
    advice: "The model or its provider failed and did not say at what. Replay once, then try another model",
  },
  modelError: {
    ...refused,
    charge: "estimate",
    errorClasses: ["ModelErrorException"],
    when: "otherwise",
    elsewhere: "at once",
    advice: "The model cannot process this input. Edit it before a replay",
  },
  streamRefused: {
    ...refused,
    charge: "estimate",
    errorClasses: ["ModelStreamErrorException"],
    when: "`originalStatusCode` is 4xx other than 408, 424 and 429",
    advice: "The model refused while it was streaming. Edit the request before a replay",
  },
  streamError: {
    ...broken,
    errorClasses: ["ModelStreamErrorException"],
    when: "otherwise",
    health: perhapsFailing,
    advice: "The stream broke at its source; what had arrived is dropped",
  },
  brokenStream: {
    ...broken,
    errorClasses: ["BrokenStream"],
    when: "a frame was cut or its checksum is wrong, or the stream ended before the answer did",
    health: failing,
    advice:
      "The stream broke on its way; what had arrived is dropped. Look at proxies between worker and Bedrock",
  },

  // The request itself will never work.
  modelGone: {
    ...access,
    errorClasses: ["ValidationException"],
    when: "message says that the model is not offered on demand or to this account or for this call, has ended its life, or has an invalid identifier",
    advice: "The pool's model cannot be called like this. Correct `model` in the pools file, then replay",
  },
  invalid: {
    ...refused,
    errorClasses: ["ValidationException"],
    when: "any other message",
    advice: "Malformed, too long, or `maxTokens` above the model's limit. Edit the request before a replay",
  },
  notFound: {
    ...access,
    errorClasses: ["ResourceNotFoundException"],
    when: "",
    advice: "A wrong model id, or the model is not offered in this Region. Check the pools file",
  },
  unknownOperation: {
    ...access,
    errorClasses: ["UnknownOperationException"],
    when: "",
    advice: "The endpoint does not know this call. Check the Region, and any endpoint that was set by hand",
  },
  conflict: {
    ...refused,
    errorClasses: ["ConflictException"],
    when: "",
    advice: "An idempotency token was used before with another request. Replay it as a new job",
  },

  // Credentials and access.
  clockCorrected: {
    ...stumbled,
    errorClasses: ["AccessDeniedException", "InvalidSignatureException", "RequestExpired"],
    when: "the SDK has just corrected its clock by the server's",
    costs: "time",
    advice: "The worker's clock is off by minutes; the next try is signed with the right time. Set up NTP",
  },
  badKey: {
    ...identity,
    errorClasses: ["AccessDeniedException"],
    when: "message speaks of the API key, the bearer token or the security token",
    advice: "The worker's API key has expired or is wrong. Renew it, then replay",
  },
  accessDenied: {
    ...access,
    errorClasses: ["AccessDeniedException", "FTUFormNotFilled", "MPAgreementBeingCreated"],
    when: "",
    advice: "IAM policy, model access, use-case form or marketplace agreement. Mend it first, then replay",
  },
  badCredentials: {
    ...identity,
    errorClasses: [
      "ExpiredTokenException",
      "IncompleteSignature",
      "InvalidClientTokenId",
      "InvalidSignatureException",
      "MissingAuthenticationTokenException",
      "RequestExpired",
      "UnrecognizedClientException",
    ],
    when: "",
    advice: "The worker's credentials have expired, are wrong or do not match. Renew them, then replay",
  },
  noCredentials: {
    ...identity,
    errorClasses: ["CredentialsProviderError", "TokenProviderError"],
    when: "no credentials could be had on this machine",
    advice: "Set up credentials for the worker, then replay",
  },
  untrusted: {
    ...stumbled,
    errorClasses: ["TlsError"],
    when: "the endpoint's certificate or protocol is not accepted",
    costs: "time",
    charge: "nothing",
    health: failing,
    advice: "Look at the endpoint, the proxy and the certificates of the worker's machine",
  },

  // The way to Bedrock.
  unreachable: {
    ...stumbled,
    errorClasses: ["ConnectionError"],
    when: "no connection came about",
    costs: "time",
    charge: "nothing",
    health: failing,
    advice: "Network, DNS, or a wrong endpoint. Replay when it is mended",
  },
  cut: {
    ...broken,
    errorClasses: ["ConnectionError"],
    when: "the connection broke after the request was sent",
    health: failing,
    advice: "Network, proxy, or a restart at the other end. Replay when it is mended",
  },
  timeout: {
    ...broken,
    errorClasses: ["TimeoutError"],
    when: "no whole answer within its time, or a stream that was silent for longer than `streamSilence`",
    health: { as: "timeout", weight: 1 },
    advice: "Raise `callTimeout` for slow models, `streamSilence` for those that think in silence",
  },
  unreadable: {
    ...broken,
    errorClasses: ["UnreadableAnswer"],
    when: "a success that is not what the operation answers",
    health: failing,
    advice: "Something between worker and Bedrock answers in its place",
  },

  // Async invocations that were accepted and came to nothing.
  asyncFailed: {
    ...refused,
    charge: "nothing",
    errorClasses: ["AsyncInvokeFailed"],
    when: "the invocation ended as `Failed`",
    advice:
      "The model could not do it, or could not write to S3: the message says which. Replay it as a new job",
  },
  asyncStopped: {
    ...refused,
    charge: "nothing",
    errorClasses: ["AsyncInvokeStopped"],
    when: "the invocation ended in a state that is not documented",
    advice: "Look it up in the account by the request id",
  },

  // Names nobody has documented, by HTTP status.
  status429: {
    ...throttled,
    errorClasses: [],
    when: "HTTP 429",
    dimension: "unknown",
    advice: "A limit that is not named. Replay when the pool has room",
  },
  status408: {
    ...broken,
    errorClasses: [],
    when: "HTTP 408",
    health: { as: "timeout", weight: 1 },
    advice: "A code not known yet, for something that took too long",
  },
  refusedInFront: {
    ...access,
    errorClasses: [],
    when: "HTTP 401 and 403, and any other 4xx in which AWS names no error",
    advice: "Something in front of Bedrock refuses, or a code not known yet",
  },
  status4xx: {
    ...refused,
    errorClasses: [],
    when: "any other HTTP 4xx",
    advice: "A code not known yet: look it up by the request id",
  },
  status503: {
    ...stumbled,
    errorClasses: [],
    when: "HTTP 503 and 529",
    costs: "time",
    health: failing,
    advice: "The service, or a proxy before it, takes no calls. Replay when that is over",
  },
  status5xx: {
    ...stumbled,
    errorClasses: [],
    when: "any other HTTP 5xx",
    health: failing,
    advice: "A code not known yet, or a proxy's page",
  },
  // Bounded by the job's attempts, and a dead letter at their end, where somebody will see it.
  unknown: {
    ...broken,
    errorClasses: [],
    when: "neither name, code nor status says anything",
    health: perhapsFailing,
    advice: "A fault in Sluice or in the SDK. Please report it",
  },
};
