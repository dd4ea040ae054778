/** What is wrong with a Redis for good: no waiting helps, somebody has to change it. */

/** The one error that ends a program's start. Its message says what to change. */
export class UnfitRedisError extends Error {
  override readonly name = "UnfitRedisError";
  readonly code = "REDIS_UNFIT";
}

export function isUnfit(error: unknown): error is UnfitRedisError {
  return error instanceof UnfitRedisError;
}
