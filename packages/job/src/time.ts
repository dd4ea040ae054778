/** Time and chance as arguments, so that every decision can be repeated in a test. */

/** Milliseconds since the epoch. */
export type Clock = () => number;

/** A number in [0, 1). */
export type Random = () => number;

/** The longest that AWS lets an inference take, milliseconds. */
export const LONGEST_CALL_MS: number = 60 * 60_000;

/** What a slow model needs for a token of its answer, milliseconds: 20 tokens a second. */
export const SLOW_TOKEN_MS = 50;
