/**
 * What a request must not hold, since it would not arrive as it was sent: on its way it becomes JSON in UTF-8 and is read
 * again by others. HTTP and direct producers are judged by the same rules, before any schema, as schemas recurse.
 */

/** Levels of lists and objects inside each other, the outermost included. */
export const DEEPEST_CONTENT = 64;

/** More values cannot be in a request of 1 MiB. */
const MOST_VALUES = 1024 * 1024;

/** One value on the way through, and how many levels it is inside. */
interface Step {
  readonly value: unknown;
  readonly depth: number;
}

/**
 * A sentence about the first thing that could not be kept as it is; `undefined` when all of it can. It names no key and
 * no text of the content. Never recurses, so that depth costs nothing.
 */
export function contentProblem(content: unknown): string | undefined {
  const open: Step[] = [{ value: content, depth: 0 }];
  for (let seen = 1; ; seen += 1) {
    const step = open.pop();
    if (step === undefined) return undefined;
    if (seen > MOST_VALUES) return `Expected at most ${MOST_VALUES} values. Shorten or split the request`;
    const { value, depth } = step;
    const problem = problemOf(value, depth);
    if (problem !== undefined) return problem;
    if (typeof value !== "object" || value === null) continue;
    if (Array.isArray(value)) {
      const items: readonly unknown[] = value;
      for (const item of items) {
        if (item === undefined) return "Expected lists without gaps";
        open.push({ value: item, depth: depth + 1 });
      }
      continue;
    }
    for (const [key, inner] of Object.entries(value)) {
      const bad = keyProblem(key, inner);
      if (bad !== undefined) return bad;
      open.push({ value: inner, depth: depth + 1 });
    }
  }
}

function problemOf(value: unknown, depth: number): string | undefined {
  switch (typeof value) {
    case "string":
      return value.isWellFormed() ? undefined : HALF_CHARACTER;
    case "number":
      return Number.isFinite(value)
        ? undefined
        : "Expected numbers that JSON can carry, got one that is none";
    case "bigint":
    case "symbol":
    case "function":
      return `Expected what JSON can carry, got a ${typeof value}`;
    case "object":
      if (value === null) return undefined;
      if (depth >= DEEPEST_CONTENT) return `Expected at most ${DEEPEST_CONTENT} levels of lists and objects`;
      return isPlain(value) ? undefined : "Expected plain objects and lists, got an object of a class";
    case "boolean":
    case "undefined":
      return undefined;
  }
}

const HALF_CHARACTER = "Expected text in Unicode, got half of a surrogate pair. Send whole characters";

/** Names through which a copy could change the prototype that every object shares. */
function keyProblem(key: string, inner: unknown): string | undefined {
  if (key === "__proto__") return "Expected no field named `__proto__`";
  if (
    key === "constructor" &&
    typeof inner === "object" &&
    inner !== null &&
    Object.hasOwn(inner, "prototype")
  ) {
    return "Expected no field `constructor` with a `prototype`";
  }
  return key.isWellFormed() ? undefined : HALF_CHARACTER;
}

/** A date or a map becomes something else in JSON. */
function isPlain(value: object): boolean {
  if (Array.isArray(value)) return true;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}
