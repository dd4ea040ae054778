/** Errors as Bedrock Runtime spells them on the wire. */

/** Status of every exception the service models, and of the codes it documents without a class. */
export const errorStatus = {
  AccessDeniedException: 403,
  ConflictException: 400,
  IncompleteSignature: 400,
  InternalFailure: 500,
  InternalServerException: 500,
  MissingAuthenticationTokenException: 403,
  ModelErrorException: 424,
  ModelNotReadyException: 429,
  ModelStreamErrorException: 424,
  ModelTimeoutException: 408,
  OverloadedException: 529,
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

/** Members some exceptions carry beside their message. */
export interface ServiceErrorDetails {
  readonly originalStatusCode?: number;
  readonly originalMessage?: string;
  readonly resourceName?: string;
}

/** Thrown inside the simulator to answer a request with an error. */
export class ServiceError extends Error {
  override readonly name: ServiceErrorName;
  readonly details: ServiceErrorDetails;

  constructor(name: ServiceErrorName, message: string, details: ServiceErrorDetails = {}) {
    super(message);
    this.name = name;
    this.details = details;
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
