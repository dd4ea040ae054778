/** Why the services could not be had. One class, told apart by `code`. */

/**
 * - `REDIS_NOT_FOUND`: no way to start a Redis on this machine; the message says what to install.
 * - `UNREACHABLE`: the given URL does not answer.
 * - `NOT_READY`: a started service did not become ready in time.
 * - `EXITED`: a started service ended by itself; the message ends with its last log lines.
 * - `PORT_TAKEN`: another process took the port first.
 */
export type ServicesErrorCode = "REDIS_NOT_FOUND" | "UNREACHABLE" | "NOT_READY" | "EXITED" | "PORT_TAKEN";

/** A service could not be found, reached or started. The message says what to do about it. */
export class ServicesError extends Error {
  override readonly name = "ServicesError";
  readonly code: ServicesErrorCode;

  constructor(code: ServicesErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** @returns whether `error` is a ServicesError, with that code if one is given. */
export function isServicesError(error: unknown, code?: ServicesErrorCode): error is ServicesError {
  return error instanceof ServicesError && (code === undefined || error.code === code);
}
