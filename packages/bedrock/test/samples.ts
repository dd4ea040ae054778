/** For every row of the failure table, what the SDK throws for it: real exception classes, real shapes. */
import * as sdk from "@aws-sdk/client-bedrock-runtime";
import type { FailureRule } from "@sluice/job";

interface Meta {
  readonly status?: number;
  readonly clockSkewCorrected?: boolean;
  readonly headers?: Record<string, string>;
}

type ModelledException = new (options: { message: string; $metadata: object }) => Error;

/** A modelled exception as `send` throws it. */
export function modelled(Exception: ModelledException, message: string, extra: object = {}): Error {
  return Object.assign(new Exception({ message, $metadata: { requestId: "r-1" } }), extra);
}

/** An exception without a class: the base class under its wire name. */
export function unmodelled(
  name: string,
  { status, clockSkewCorrected, headers = {} }: Meta,
  message = "",
): Error {
  const fault = (status ?? 0) < 500 ? "client" : "server";
  const $metadata = {
    ...(status === undefined ? {} : { httpStatusCode: status }),
    requestId: "r-1",
    clockSkewCorrected,
  };
  const error = new sdk.BedrockRuntimeServiceException({ name, $fault: fault, message, $metadata });
  return Object.assign(error, { $response: { headers } });
}

/** A system error of Node. */
export function system(code: string, extra: object = {}): Error {
  return Object.assign(new Error(`${code} happened`), { code, ...extra });
}

export function named(name: string, message = "", extra: object = {}): Error {
  return Object.assign(new Error(message), { name, ...extra });
}

const throttle = (message: string): Error => modelled(sdk.ThrottlingException, message);

export const samples: Readonly<Record<FailureRule, readonly unknown[]>> = {
  requestsThrottled: [
    throttle("Too many requests, please wait before trying again."),
    throttle(
      "Too many requests, please wait before trying again. You have sent too many requests. Wait before trying again.",
    ),
    named("throttlingException", '{"message":"Too many requests"}'),
  ],
  tokensThrottled: [throttle("Too many tokens, please wait before trying again.")],
  dayThrottled: [throttle("Too many tokens per day, please wait before trying again.")],
  overloaded: [throttle("Model x is currently overloaded. Please try again later.")],
  throttled: [throttle("Rate exceeded"), throttle("")],
  modelNotReady: [modelled(sdk.ModelNotReadyException, "The model is not ready")],

  unavailable: [
    modelled(sdk.ServiceUnavailableException, "Too many connections, please wait before trying again."),
    unmodelled("OverloadedException", { status: 529 }),
    named("serviceUnavailableException", '{"message":"Gone"}'),
  ],
  internal: [
    modelled(sdk.InternalServerException, "Oops"),
    unmodelled("InternalFailure", { status: 500 }),
    // Without a status, as the first frame of a stream brings it.
    named("InternalServerException", "Oops", { $metadata: { attempts: 1, totalRetryDelay: 0 } }),
  ],
  modelTimeout: [
    modelled(sdk.ModelTimeoutException, "Timeout"),
    // Not modelled in ConverseStream: a plain error with its JSON as message, and a status not to be trusted.
    named("modelTimeoutException", '{"message":"Timeout"}\n  Deserialization error: see $response', {
      $metadata: { httpStatusCode: 200 },
    }),
  ],
  modelFailed: [
    modelled(sdk.ModelErrorException, "Upstream", { originalStatusCode: 500 }),
    modelled(sdk.ModelErrorException, "Upstream", { originalStatusCode: 429 }),
  ],
  modelUnclear: [modelled(sdk.ModelErrorException, "Try your request again")],
  modelError: [
    modelled(sdk.ModelErrorException, "Upstream", { originalStatusCode: 400 }),
    modelled(sdk.ModelErrorException, "Upstream", { originalStatusCode: 424 }),
  ],
  streamRefused: [
    modelled(sdk.ModelStreamErrorException, "Bad", { originalStatusCode: 400 }),
    named("modelStreamErrorException", '{"message":"Bad","originalStatusCode":403}'),
  ],
  streamError: [
    modelled(sdk.ModelStreamErrorException, "Cut", { originalStatusCode: 502 }),
    modelled(sdk.ModelStreamErrorException, "Cut", { originalStatusCode: 408 }),
    modelled(sdk.ModelStreamErrorException, "Cut"),
  ],
  brokenStream: [
    new Error("Truncated event message received."),
    new Error("The message checksum (1) did not match the calculated message checksum (2)"),
    new Error("The prelude checksum (1) in the message (1) does not match the calculated CRC32 (2)"),
  ],

  modelGone: [
    modelled(
      sdk.ValidationException,
      "Invocation of model ID x with on-demand throughput isn't supported. Retry your request with the ID or ARN of an inference profile that contains this model.",
    ),
    modelled(sdk.ValidationException, "The provided model identifier is invalid."),
    modelled(sdk.ValidationException, "This model version has reached the end of its life."),
    modelled(sdk.ValidationException, "The provided model doesn't support on-demand throughput."),
    modelled(sdk.ValidationException, "Operation not allowed"),
    modelled(
      sdk.ValidationException,
      "This action doesn't support the model that you provided. Try again with a supported text or chat model.",
    ),
  ],
  invalid: [modelled(sdk.ValidationException, "Input is too long for requested model.")],
  notFound: [modelled(sdk.ResourceNotFoundException, "No such model")],
  unknownOperation: [unmodelled("UnknownOperationException", { status: 404 })],
  conflict: [modelled(sdk.ConflictException, "Token used before")],
  quotaExceeded: [modelled(sdk.ServiceQuotaExceededException, "Limit reached")],

  clockCorrected: [
    modelled(sdk.AccessDeniedException, "Denied", {
      $metadata: { httpStatusCode: 403, clockSkewCorrected: true },
    }),
    unmodelled("InvalidSignatureException", { status: 403, clockSkewCorrected: true }),
  ],
  badKey: [
    modelled(sdk.AccessDeniedException, "Bearer Token has expired"),
    modelled(sdk.AccessDeniedException, "Authentication failed: Please make sure your API Key is valid."),
    modelled(sdk.AccessDeniedException, "The security token included in the request is invalid."),
  ],
  accessDenied: [
    modelled(sdk.AccessDeniedException, "You don't have access to the model with the specified model ID."),
    unmodelled("FTUFormNotFilled", { status: 404 }),
    unmodelled("MPAgreementBeingCreated", { status: 403 }),
  ],
  badCredentials: [
    unmodelled("UnrecognizedClientException", { status: 403 }),
    unmodelled("ExpiredTokenException", { status: 403 }),
    unmodelled("InvalidSignatureException", { status: 403 }),
    unmodelled("IncompleteSignature", { status: 400 }),
    unmodelled("RequestExpired", { status: 400 }),
    unmodelled("InvalidClientTokenId", { status: 403 }),
  ],
  noCredentials: [named("CredentialsProviderError", "Could not load credentials from any providers")],
  untrusted: [system("DEPTH_ZERO_SELF_SIGNED_CERT"), system("CERT_HAS_EXPIRED"), system("EPROTO")],

  unreachable: [
    system("ECONNREFUSED"),
    system("ENOTFOUND"),
    system("EAI_AGAIN"),
    system("EHOSTUNREACH"),
    system("ERR_TLS_HANDSHAKE_TIMEOUT"),
    system("ETIMEDOUT", { syscall: "connect" }),
    // HTTP/2 puts its own code on top.
    system("ERR_HTTP2_STREAM_CANCEL", { cause: system("ECONNREFUSED") }),
    named("TimeoutError", "the request socket did not establish a connection with the server within 3000 ms"),
    // The code of a cut, the name of a time-out, and yet nothing was sent.
    system("ECONNRESET", {
      name: "TimeoutError",
      message: "Client network socket disconnected before secure TLS connection was established",
    }),
  ],
  cut: [
    // A reset is named TimeoutError.
    system("ECONNRESET", { name: "TimeoutError" }),
    system("EPIPE"),
    system("ERR_HTTP2_STREAM_ERROR"),
    named("Error", "aborted\n  Deserialization error", {
      code: "ECONNRESET",
      $metadata: { httpStatusCode: 200 },
    }),
    new Error("outer", { cause: new Error("inner", { cause: system("ECONNRESET") }) }),
  ],
  timeout: [
    system("ETIMEDOUT", { name: "TimeoutError" }),
    named("TimeoutError", "the request socket timed out after 100 ms of inactivity"),
  ],
  unreadable: [
    ...[new SyntaxError("Unexpected end of JSON input"), new TypeError("Cannot read properties of null")].map(
      (error) => Object.assign(error, { $metadata: { httpStatusCode: 200 } }),
    ),
    // Within a stream.
    new SyntaxError("Unterminated string in JSON at position 27"),
  ],

  // Nothing throws these: a poll reads them.
  asyncFailed: [],
  asyncStopped: [],

  status429: [unmodelled("Unknown", { status: 429 }), unmodelled("SlowDown", { status: 429 })],
  status408: [unmodelled("Unknown", { status: 408 })],
  refusedInFront: [
    unmodelled("Unknown", { status: 401 }),
    unmodelled("NewDenial", { status: 403 }),
    ...[400, 404, 407, 413, 421].map((status) => unmodelled("Unknown", { status })),
  ],
  status4xx: [unmodelled("SerializationException", { status: 400 })],
  status503: [unmodelled("Unknown", { status: 503 }), unmodelled("Unknown", { status: 529 })],
  status5xx: [
    unmodelled("Unknown", { status: 502 }),
    Object.assign(new SyntaxError("Unexpected token '<', \"<html>…\""), {
      $metadata: { httpStatusCode: 504 },
    }),
  ],
  unknown: [
    new Error("A bug"),
    named("somethingNewException", '{"message":"What"}', { $metadata: { httpStatusCode: 200 } }),
    undefined,
    "text",
  ],
};
