/** Values of the environment that people type, with errors that say what was expected and what is there. */
import { z } from "zod";

/** A whole number from `min` to `max`. The error shows what was found, so use it for nothing secret. */
export function wholeNumber({ min, max = Number.MAX_SAFE_INTEGER }: { min: number; max?: number }) {
  const range =
    max === Number.MAX_SAFE_INTEGER
      ? `a whole number of at least ${min}`
      : `a whole number from ${min} to ${max}`;
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
