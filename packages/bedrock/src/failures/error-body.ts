/**
 * Errors that come as the body of a success. Proxies, gateways and model servers do that, and Bedrock has been seen to:
 * a 200 that says `{"message":"Too many requests"}`. Such a body becomes the error that it would have been with its
 * own status, so that everything behind it needs to know nothing of this. Pure.
 */
import { z } from "zod";
import { part, text } from "../lenient.ts";

/** What a body says of an error; empty where it says nothing. */
interface Said {
  readonly name: string;
  readonly message: string;
  readonly status: number | undefined;
}

/**
 * What the members of a body are called in which nothing but an error stands. An answer has at least one member of
 * another name, also where it has a `message`: OpenAI's is in `choices`, Pegasus adds a `finishReason`.
 */
const ERROR_MEMBERS = new Set(
  (
    "__type message errormessage errortype error errors detail details type code status statuscode output version " +
    "requestid request_id param originalstatuscode originalmessage resourcename success object"
  ).split(" "),
);

/** A status, as a number or in digits. */
const failureStatus = z
  .union([z.int(), z.string().regex(/^\d{3}$/)])
  .transform(Number)
  .pipe(z.int().min(400).max(599));
const anyStatus = failureStatus.optional().catch(undefined);

const words = {
  __type: text,
  message: text,
  Message: text,
  errorMessage: text,
  errorType: text,
  type: text,
  code: z.union([failureStatus, z.string()]).optional().catch(undefined),
  status: anyStatus,
  statusCode: anyStatus,
};

const wordsSchema = z.object(words);

const sayingSchema = wordsSchema.extend({
  detail: z
    .union([z.string(), z.array(z.object({ msg: z.string() }))])
    .optional()
    .catch(undefined),
  error: z
    .union([z.string(), z.object(words)])
    .optional()
    .catch(undefined),
  Error: part(words),
  // AWS's old envelope, from a host that knows no such operation.
  Output: part(words),
});

/** Names of model servers for what Bedrock has names of its own. */
const NAMES: ReadonlyMap<string, string> = new Map([
  ["overloaded_error", "OverloadedException"],
  ["rate_limit_error", "ThrottlingException"],
  ["rate_limit_exceeded", "ThrottlingException"],
  ["invalid_request_error", "ValidationException"],
  ["request_too_large", "ValidationException"],
  ["BadRequestError", "ValidationException"],
  ["content_filter", "ValidationException"],
  ["authentication_error", "UnrecognizedClientException"],
  ["permission_error", "AccessDeniedException"],
  ["not_found_error", "ResourceNotFoundException"],
  ["NotFoundError", "ResourceNotFoundException"],
  ["timeout_error", "ModelTimeoutException"],
  ["api_error", "InternalServerException"],
  ["server_error", "InternalServerException"],
  ["InternalServerError", "InternalServerException"],
]);

/**
 * What a model's server says in a model's own body of who may ask it. It is no word on this process's credentials, which
 * Bedrock itself checks before any model is asked: the pool is held as one with denied access.
 */
const MODELS_OWN: ReadonlyMap<string, number> = new Map([
  ["authentication_error", 401],
  ["permission_error", 403],
]);

/** What Bedrock's own sentences mean where no name stands beside them. */
const SENTENCES: readonly (readonly [RegExp, string])[] = [
  [
    /too many connections|unable to process your request|service (?:is )?(?:temporarily )?unavailable/i,
    "ServiceUnavailableException",
  ],
  [/too many (?:requests|tokens)|rate (?:limit )?exceeded|overloaded/i, "ThrottlingException"],
  [/model .*not ready/i, "ModelNotReadyException"],
  [/timed out|timeout/i, "ModelTimeoutException"],
  [/security token .*expired/i, "ExpiredTokenException"],
  [/security token .*invalid/i, "UnrecognizedClientException"],
  [/signature .*(?:does not match|expired)/i, "InvalidSignatureException"],
  [/not authorized to perform|access ?denied|don't have access/i, "AccessDeniedException"],
  [
    /malformed input|validation errors? detected|input is too long|on-demand throughput|model identifier is invalid|content filter|responsible ai/i,
    "ValidationException",
  ],
  [/unexpected error|internal (?:server )?(?:error|failure)/i, "InternalServerException"],
];

const NOTHING_SAID: Said = { name: "", message: "", status: undefined };

/** Statuses of names that have no row of their own. */
const STATUSES: ReadonlyMap<string, number> = new Map([
  ["UnknownOperationException", 404],
  ["SerializationException", 400],
]);

/** Longer than any sentence of Bedrock's own. */
const LONGEST_SENTENCE = 300;

export interface ErrorBodyOptions {
  /** `x-amzn-errortype`, when the response has it: then it is an error whatever the body says. */
  readonly header?: string | undefined;
  /**
   * The body is a model's own. Then a lone `message` may well be its answer: it is an error only when it is a known
   * sentence, or has a name or a status beside it.
   */
  readonly native?: boolean;
}

/**
 * The error in a body that holds nothing else, to be thrown: with the name and the status that it has, or that its
 * sentence is known for. `undefined` for any other body.
 */
export function errorIn(body: unknown, { header, native = false }: ErrorBodyOptions = {}): Error | undefined {
  const said = isBare(body) ? sayingSchema.safeParse(body).data : undefined;
  const { name, message, status: saidStatus } = said === undefined ? NOTHING_SAID : reading(said);
  const ownStatus = native && header === undefined ? MODELS_OWN.get(name) : undefined;
  const status = ownStatus ?? saidStatus;
  const wireName = ownStatus === undefined ? known(header ?? name) : "Unknown";
  if (wireName === "" && message === "" && status === undefined) return undefined;
  const isLong = native && message.length > LONGEST_SENTENCE;
  const meant = isLong ? undefined : SENTENCES.find(([pattern]) => pattern.test(message))?.[1];
  const isMarked = said?.error !== undefined || wireName !== "" || status !== undefined;
  if (native && !isMarked && meant === undefined) return undefined;
  const error = new Error(message);
  error.name = wireName || (meant ?? "Unknown");
  const httpStatusCode = status ?? STATUSES.get(error.name);
  return Object.assign(error, { $metadata: httpStatusCode === undefined ? {} : { httpStatusCode } });
}

/** Whether every member may be an error's. */
function isBare(body: unknown): boolean {
  if (typeof body !== "object" || body === null || Array.isArray(body)) return false;
  return Object.keys(body).every((name) => ERROR_MEMBERS.has(name.toLowerCase()));
}

function reading({ detail, error, Error: envelope, Output, ...said }: z.output<typeof sayingSchema>): Said {
  const places: readonly (Partial<z.output<typeof wordsSchema>> | undefined)[] = [
    said,
    typeof error === "string" ? { message: error } : error,
    envelope,
    Output,
  ];
  const all = (...names: readonly (keyof typeof words)[]): (string | number | undefined)[] =>
    names.flatMap((name) => places.map((place) => place?.[name]));
  const texts = (...names: readonly (keyof typeof words)[]): string[] =>
    all(...names).filter((value): value is string => typeof value === "string" && value !== "");
  const details = typeof detail === "string" ? detail : detail?.[0]?.msg;
  return {
    name: texts("__type")[0] ?? texts("errorType", "code", "type").find(isName) ?? "",
    message: texts("message", "Message", "errorMessage")[0] ?? details ?? "",
    status: all("status", "statusCode", "code").find((value) => typeof value === "number"),
  };
}

/** Whether a word names an error, and not a kind of thing, as `error` and `object` do. */
function isName(word: string): boolean {
  return NAMES.has(word) || /^[A-Z][A-Za-z]*(?:Exception|Error|Failure)$/.test(word);
}

/** Bedrock's name for it, without what the wire puts around names. */
function known(name: string): string {
  const bare = name.slice(name.lastIndexOf("#") + 1).split(":", 1)[0] ?? "";
  return NAMES.get(bare) ?? bare;
}
