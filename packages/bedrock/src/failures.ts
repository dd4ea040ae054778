/**
 * Every way a call can fail, as one table. `classify.ts` finds the row; what follows from a row is policy and lives
 * with the drain. `docs/errors.md` shows the same table; a test holds the two together.
 */
import type { FailureKind, ThrottleDimension } from "@sluice/job";

/**
 * What the quota is charged for a failed call.
 * `nothing`: it was never sent, or takes no quota. `request`: Bedrock refused it, one request and no tokens.
 * `estimate`: it was cut off or failed while the model was at work, so input and output up to what was asked for may
 * have been used. Whatever fails within a stream is an `estimate`, since Bedrock had admitted it by then.
 */
export type Billed = "nothing" | "request" | "estimate";

export interface FailureRule {
  /** Names that lead to this row, each the `errorClass` of its failures. Empty: any name, found by HTTP status. */
  readonly errorClasses: readonly string[];
  /** What tells the row from others of the same name, for readers. Empty: the name alone. */
  readonly when: string;
  readonly kind: FailureKind;
  readonly dimension?: ThrottleDimension;
  /** Whether it speaks against the health of the model's service. */
  readonly breaker: boolean;
  readonly billed: Billed;
}

/**
 * Whether a failed try counts against the job. Quota and credentials are not the job's fault; a terminal failure
 * ends it anyway.
 */
export const COSTS_ATTEMPT: Readonly<Record<FailureKind, boolean>> = {
  throttled: false,
  transient: true,
  terminal: true,
  systemic: false,
};

const throttled = { kind: "throttled", billed: "request", breaker: false } as const;
const refused = { kind: "terminal", billed: "request", breaker: false } as const;
const noAccess = { kind: "systemic", billed: "request", breaker: false } as const;

/** The rows of the table. Several rows share a class; their name tells them apart. */
export type FailureRuleName =
  | "requestsThrottled"
  | "tokensThrottled"
  | "dayThrottled"
  | "overloaded"
  | "throttled"
  | "modelNotReady"
  | "unavailable"
  | "internal"
  | "modelTimeout"
  | "modelFailed"
  | "modelError"
  | "streamRefused"
  | "streamError"
  | "brokenStream"
  | "invalid"
  | "notFound"
  | "conflict"
  | "quotaExceeded"
  | "clockCorrected"
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
  | "status401"
  | "status4xx"
  | "status5xx"
  | "unknown";

export const FAILURE_RULES: Readonly<Record<FailureRuleName, FailureRule>> = {
  // The account's own quota. The message alone says which one.
  requestsThrottled: {
    ...throttled,
    errorClasses: ["ThrottlingException"],
    when: "message has 'too many requests'",
    dimension: "requests",
  },
  tokensThrottled: {
    ...throttled,
    errorClasses: ["ThrottlingException"],
    when: "message has 'too many tokens'",
    dimension: "tokens",
  },
  dayThrottled: {
    ...throttled,
    errorClasses: ["ThrottlingException"],
    when: "message has 'tokens per day'",
    dimension: "tokens-per-day",
  },
  // Capacity that all customers share.
  overloaded: {
    ...throttled,
    errorClasses: ["ThrottlingException"],
    when: "message has 'overloaded'",
    dimension: "capacity",
    breaker: true,
  },
  throttled: {
    ...throttled,
    errorClasses: ["ThrottlingException"],
    when: "any other message",
    dimension: "unknown",
  },
  modelNotReady: {
    ...throttled,
    errorClasses: ["ModelNotReadyException"],
    when: "",
    dimension: "capacity",
  },

  // The service or the model stumbled.
  unavailable: {
    kind: "transient",
    errorClasses: ["ServiceUnavailableException", "OverloadedException"],
    when: "",
    breaker: true,
    billed: "request",
  },
  internal: {
    kind: "transient",
    errorClasses: ["InternalServerException", "InternalFailure"],
    when: "",
    breaker: true,
    billed: "request",
  },
  modelTimeout: {
    kind: "transient",
    errorClasses: ["ModelTimeoutException"],
    when: "",
    breaker: true,
    billed: "estimate",
  },
  modelFailed: {
    kind: "transient",
    errorClasses: ["ModelErrorException"],
    when: "`originalStatusCode` is 429 or 500 and above",
    breaker: false,
    billed: "estimate",
  },
  modelError: {
    kind: "terminal",
    errorClasses: ["ModelErrorException"],
    when: "otherwise",
    breaker: false,
    billed: "estimate",
  },
  streamRefused: {
    kind: "terminal",
    errorClasses: ["ModelStreamErrorException"],
    when: "`originalStatusCode` is 4xx other than 408, 424 and 429",
    breaker: false,
    billed: "estimate",
  },
  streamError: {
    kind: "transient",
    errorClasses: ["ModelStreamErrorException"],
    when: "otherwise",
    breaker: false,
    billed: "estimate",
  },
  brokenStream: {
    kind: "transient",
    errorClasses: ["BrokenStream"],
    when: "a frame was cut or its checksum is wrong, or the stream ended before the answer did",
    breaker: false,
    billed: "estimate",
  },

  // The request itself will never work.
  invalid: { ...refused, errorClasses: ["ValidationException"], when: "" },
  notFound: { ...refused, errorClasses: ["ResourceNotFoundException"], when: "" },
  conflict: { ...refused, errorClasses: ["ConflictException"], when: "" },
  // A hard or a daily limit: trying again would only spin. Replay it once the limit was raised.
  quotaExceeded: { ...refused, errorClasses: ["ServiceQuotaExceededException"], when: "" },

  // Credentials and access: true for every job of the pool.
  clockCorrected: {
    kind: "transient",
    errorClasses: ["AccessDeniedException", "InvalidSignatureException", "RequestExpired"],
    when: "the SDK has just corrected its clock by the server's",
    breaker: false,
    billed: "request",
  },
  accessDenied: {
    ...noAccess,
    errorClasses: ["AccessDeniedException", "FTUFormNotFilled", "MPAgreementBeingCreated"],
    when: "",
  },
  badCredentials: {
    ...noAccess,
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
  },
  noCredentials: {
    ...noAccess,
    errorClasses: ["CredentialsProviderError", "TokenProviderError"],
    when: "no credentials were found on this machine",
    billed: "nothing",
  },
  untrusted: {
    ...noAccess,
    errorClasses: ["TlsError"],
    when: "the endpoint's certificate or protocol is not accepted",
    billed: "nothing",
  },

  // The way to Bedrock.
  unreachable: {
    kind: "transient",
    errorClasses: ["ConnectionError"],
    when: "no connection came about",
    breaker: true,
    billed: "nothing",
  },
  cut: {
    kind: "transient",
    errorClasses: ["ConnectionError"],
    when: "the connection broke after the request was sent",
    breaker: true,
    billed: "estimate",
  },
  timeout: {
    kind: "transient",
    errorClasses: ["TimeoutError"],
    when: "no whole answer within the pool's `callTimeout`",
    breaker: true,
    billed: "estimate",
  },
  unreadable: {
    kind: "transient",
    errorClasses: ["UnreadableAnswer"],
    when: "a success that is not what the operation answers",
    breaker: true,
    billed: "estimate",
  },

  // Async invocations that were accepted and came to nothing.
  asyncFailed: {
    kind: "terminal",
    errorClasses: ["AsyncInvokeFailed"],
    when: "the invocation ended as `Failed`",
    breaker: false,
    billed: "nothing",
  },
  asyncStopped: {
    kind: "terminal",
    errorClasses: ["AsyncInvokeStopped"],
    when: "the invocation ended in a state that is not documented",
    breaker: false,
    billed: "nothing",
  },

  // Names nobody has documented, by HTTP status.
  status429: { ...throttled, errorClasses: [], when: "HTTP 429", dimension: "unknown" },
  status408: { kind: "transient", errorClasses: [], when: "HTTP 408", breaker: true, billed: "estimate" },
  status401: { ...noAccess, errorClasses: [], when: "HTTP 401 and 403" },
  status4xx: { ...refused, errorClasses: [], when: "any other HTTP 4xx" },
  status5xx: { kind: "transient", errorClasses: [], when: "HTTP 5xx", breaker: true, billed: "request" },
  // Bounded by the job's attempts, and a dead letter at their end, where somebody will see it.
  unknown: {
    kind: "transient",
    errorClasses: [],
    when: "neither name, code nor status says anything",
    breaker: false,
    billed: "estimate",
  },
};
