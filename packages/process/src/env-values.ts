/** Values of the environment that people type, with errors that say what was expected and what is there. */
import { z } from "zod";

/**
 * A whole number from `min` to `max`. The error shows what was found, so use it for nothing secret. What becomes a timer needs
 * a `max` below 2^31 ms: Node's fire at once beyond it.
 */
export function wholeNumber({ min, max }: { min: number; max: number }) {
  const range = `a whole number from ${min} to ${max}`;
  return z.string().transform((text, context): number => {
    const value = /^\s*\d{1,16}\s*$/.test(text) ? Number(text) : Number.NaN;
    if (Number.isSafeInteger(value) && value >= min && value <= max) return value;
    context.issues.push({ code: "custom", input: text, message: `Expected ${range}, found ${found(text)}` });
    return z.NEVER;
  });
}

/** One of a few words. */
export function oneOf<const Words extends readonly [string, ...string[]]>(words: Words) {
  return z.enum(words, {
    error: ({ input }) => `Expected one of ${words.join(", ")}, found ${found(input)}`,
  });
}

/** `true` or `false`, also as 1, 0, yes, no, on, off. */
export function yesOrNo() {
  return z.stringbool({ error: ({ input }) => `Expected true or false, found ${found(input)}` });
}

/** The URL of a service of AWS, or of what stands in for it. Not shown: a URL may hold a password. */
export function endpointUrl() {
  const rule = "Expected a URL such as http://127.0.0.1:8000, with http:// or https://";
  return z.url({ protocol: /^https?$/, hostname: /./, error: rule });
}

/** A text of a known form. The error shows what was found, so use it for nothing secret. */
export function textOf(form: RegExp, expected: string) {
  return z.string().regex(form, { error: ({ input }) => `Expected ${expected}, found ${found(input)}` });
}

/** Names separated by spaces or commas; empty for none. */
export function nameList() {
  return z.string().transform((text) => text.split(/[\s,]+/).filter((name) => name !== ""));
}

const LONGEST = 40;

function found(input: unknown): string {
  if (typeof input !== "string") return "nothing";
  const text = input.replaceAll(/\p{C}/gu, "�");
  return `'${text.length <= LONGEST ? text : `${text.slice(0, LONGEST)}…`}'`;
}
