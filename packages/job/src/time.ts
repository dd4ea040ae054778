/** Time and chance as arguments, so that every decision can be repeated in a test. */

/** Milliseconds since the epoch. */
export type Clock = () => number;

/** A number in [0, 1). */
export type Random = () => number;
