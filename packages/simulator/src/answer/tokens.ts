/**
 * How the simulator counts: four UTF-16 units of text are one token, an image is 1,600. Real tokenisers differ
 * by model and are not published; clients must learn from `usage` anyway.
 */
export const CHARACTERS_PER_TOKEN = 4;

/** What one image costs, whatever its size. */
export const TOKENS_PER_IMAGE = 1_600;

/** Tokens of a text. Empty text is none. */
export function countTokens(text: string): number {
  return Math.ceil(text.length / CHARACTERS_PER_TOKEN);
}
