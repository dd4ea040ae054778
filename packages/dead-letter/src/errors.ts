/**
 * `unavailable`: the store did not answer, or not in time; the same call may work later.
 * `misconfigured`: it answered that it will never do this: no table, no permission, wrong keys. An operator acts.
 * `corrupt`: what was read is not what was written.
 * `newer`: a newer version of Sluice wrote it, and its programs can read it.
 * `contended`: too many writers changed one record at once; the same call may work later.
 */
export type DeadLetterErrorCode = "unavailable" | "misconfigured" | "corrupt" | "newer" | "contended";

/** The one error the store rejects with, beside `RangeError` for arguments. `cause` is the vendor's own. */
export class DeadLetterError extends Error {
  override readonly name = "DeadLetterError";
  readonly code: DeadLetterErrorCode;
  /** With `corrupt`, of a letter: its revision, by which it can be purged. */
  readonly revision: string | undefined;

  constructor(
    code: DeadLetterErrorCode,
    message: string,
    options?: ErrorOptions & { readonly revision?: string | undefined },
  ) {
    super(message, options);
    this.code = code;
    this.revision = options?.revision;
  }
}

/** Whether an error came from a dead letter store. */
export function isDeadLetterError(error: unknown): error is DeadLetterError {
  return error instanceof DeadLetterError;
}
