/**
 * JSON as it was written, or not at all. A parser takes the nearest double for a number, and of a key that comes twice the
 * last: another request would be queued than the one that was sent, and nobody would be told.
 */
import { contentProblem } from "./content.ts";

/** What a text is as JSON. `problem` is a sentence that names no key and no text of it. */
export type ExactJson =
  | { readonly type: "value"; readonly value: unknown }
  | { readonly type: "no-json" }
  | { readonly type: "changed"; readonly problem: string };

const CHANGED_NUMBER =
  "Expected numbers that a double can hold, got one that it would change. Send it as a text";
const REPEATED_KEY = "Expected each key of an object once, got one twice. Send it once";

/** The longest double that is written out, 5e-324, has 326 characters. */
const LONGEST_NUMBER = 400;

/** Reads JSON; of what is no JSON, or would not be kept as it is, says so. */
export function parseExact(text: string): ExactJson {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { type: "no-json" };
  }
  const problem = contentProblem(value) ?? changeProblem(text);
  return problem === undefined ? { type: "value", value } : { type: "changed", problem };
}

const NUMBER = /-?\d[\d.eE+-]*/y;

/** What a parser has changed without a word. Takes a text that is JSON; never recurses. */
function changeProblem(text: string): string | undefined {
  /** The keys so far of every object that is open; `undefined` for a list. */
  const open: (Set<string> | undefined)[] = [];
  let isKey = false;
  for (let at = 0; at < text.length; at += 1) {
    switch (text.charAt(at)) {
      case "{":
        open.push(new Set());
        isKey = true;
        break;
      case "[":
        open.push(undefined);
        isKey = false;
        break;
      case "}":
      case "]":
        open.pop();
        isKey = false;
        break;
      case ",":
        isKey = open.at(-1) !== undefined;
        break;
      case ":":
        isKey = false;
        break;
      case '"': {
        const end = endOfString(text, at);
        const keys = isKey ? open.at(-1) : undefined;
        if (keys !== undefined) {
          const key = String(JSON.parse(text.slice(at, end + 1)));
          if (keys.has(key)) return REPEATED_KEY;
          keys.add(key);
        }
        at = end;
        break;
      }
      default: {
        NUMBER.lastIndex = at;
        const [number] = NUMBER.exec(text) ?? [];
        if (number === undefined) break;
        if (!isKept(number)) return CHANGED_NUMBER;
        at += number.length - 1;
      }
    }
  }
  return undefined;
}

/** Where the quote is that ends the string which begins at `start`. */
function endOfString(text: string, start: number): number {
  for (let at = start + 1; ; at += 1) {
    const quote = text.indexOf('"', at);
    let slashes = 0;
    while (text[quote - 1 - slashes] === "\\") slashes += 1;
    if (slashes % 2 === 0) return quote;
    at = quote;
  }
}

/** Whether a number is written again as the same decimal. */
function isKept(number: string): boolean {
  // A double holds every whole number of 15 digits.
  if (/^-?\d{1,15}$/.test(number)) return true;
  return number.length <= LONGEST_NUMBER && decimal(number) === decimal(String(Number(number)));
}

/** A decimal in one way of many to write it: its digits without zeros around them, and a power of ten. */
function decimal(number: string): string {
  const [, sign = "", whole = "", fraction = "", exponent = "0"] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(number) ?? [];
  const digits = `${whole}${fraction}`.replace(/^0+/, "");
  if (digits === "") return "0";
  const significant = digits.replace(/0+$/, "");
  const power = BigInt(exponent) - BigInt(fraction.length) + BigInt(digits.length - significant.length);
  return `${sign}${significant}e${power}`;
}
