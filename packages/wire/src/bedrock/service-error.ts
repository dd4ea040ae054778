/** Errors as Bedrock Runtime spells them on the wire. */
import type { OutgoingHttpHeaders } from "node:http";

/** Status of every exception the service models, and of the codes it documents without a class. */
export const errorStatus = {
  AccessDeniedException: 403,
  ConflictException: 400,
  FTUFormNotFilled: 404,
  IncompleteSignature: 400,
  InternalFailure: 500,
  InternalServerException: 500,
  InvalidClientTokenId: 403,
  MissingAuthenticationTokenException: 403,
  ModelErrorException: 424,
  ModelNotReadyException: 429,
  ModelStreamErrorException: 424,
  ModelTimeoutException: 408,
  OverloadedException: 529,
  RequestExpired: 400,
  ResourceNotFoundException: 404,
  SerializationException: 400,
  ServiceQuotaExceededException: 400,
  ServiceUnavailableException: 503,
  ThrottlingException: 429,
  UnknownOperationException: 404,
  ValidationException: 400,
} as const;

/** The name of a service error. */
export type ServiceErrorName = keyof typeof errorStatus;

/** Whether a name is one of the service's. */
export function isServiceErrorName(name: string): name is ServiceErrorName {
  return Object.hasOwn(errorStatus, name);
}

/** What an error carries beside its name and message. */
export interface ServiceErrorOptions {
  /** Default: the status of that exception, 500 for a name the service does not know. */
  readonly status?: number;
  readonly headers?: OutgoingHttpHeaders;
  /** Further members of the body, such as `originalStatusCode`. */
  readonly details?: Readonly<Record<string, unknown>>;
}

/** Thrown to answer a request with an error. */
export class ServiceError extends Error {
  override readonly name: string;
  readonly status: number;
  readonly headers: OutgoingHttpHeaders;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(name: string, message: string, options: ServiceErrorOptions = {}) {
    super(message);
    this.name = name;
    this.status = options.status ?? (isServiceErrorName(name) ? errorStatus[name] : 500);
    this.headers = options.headers ?? {};
    this.details = options.details ?? {};
  }
}

/** A ValidationException in the words of the service. */
export function invalid(message: string): ServiceError {
  return new ServiceError("ValidationException", message);
}

/** The header that names an error's class, as captured from the real service. */
export function errorTypeHeader(name: string): string {
  return `${name}:http://internal.amazon.com/coral/com.amazon.bedrock/`;
}
