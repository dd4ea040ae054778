/** What is said of a pool whose limits nobody has published. */

export function unpublished(pool: string): RangeError {
  return new RangeError(
    `The limits of pool '${pool}' are not published: no worker that serves it has started yet. Start one, with a pools ` +
      "file that has the pool",
  );
}
