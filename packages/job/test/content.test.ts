import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { contentProblem } from "../src/index.ts";

const nested = (levels: number): unknown =>
  Array.from({ length: levels }).reduce<unknown>(
    (inner, _, level) => (level % 2 === 0 ? [inner] : { inner }),
    1,
  );

describe("contentProblem", () => {
  test("has nothing to say of JSON that is read as it was written", () => {
    const json = fc.jsonValue({ maxDepth: 3 });
    fc.assert(
      fc.property(json, (value) => {
        const written = JSON.stringify(value);
        fc.pre(!written.includes("__proto__"));
        expect(contentProblem(value)).toBeUndefined();
        // By its text: JSON has no minus nought.
        expect(JSON.stringify(JSON.parse(written))).toBe(written);
      }),
      { numRuns: 20 },
    );
  });

  test("takes 64 levels and refuses 65, and a hundred thousand as quickly", () => {
    expect(contentProblem(nested(64))).toBeUndefined();
    expect(contentProblem(nested(65))).toContain("at most 64 levels");
    expect(contentProblem(nested(100_000))).toContain("at most 64 levels");
    const ring: unknown[] = [];
    ring.push(ring);
    expect(contentProblem(ring)).toContain("at most 64 levels");
  });

  test.each([
    ["a key that leads to the prototype", '{"a":{"__proto__":{"isAdmin":true}}}', "`__proto__`"],
    ["a constructor's prototype", '{"constructor":{"prototype":{"isAdmin":true}}}', "`constructor`"],
    ["half of a character in a text", String.raw`["\ud83d"]`, "surrogate"],
    ["the other half", String.raw`["\udc4d!"]`, "surrogate"],
    ["half of a character in a key", String.raw`{"a\ud83d":1}`, "surrogate"],
    ["a number that became endless", "[1e400]", "numbers"],
  ])("refuses %s", (_, json, says) => {
    expect(contentProblem(JSON.parse(json))).toContain(says);
  });

  test.each([
    ["a date", new Date(0)],
    ["a map", new Map()],
    ["a function", () => 1],
    ["a big number", 10n],
    ["a gap in a list", [1, undefined]],
  ])("refuses %s, which JSON would change", (_, value) => {
    expect(contentProblem({ value })).toEqual(expect.stringContaining("Expected"));
  });

  test("takes a field named constructor, and whole characters", () => {
    expect(contentProblem({ constructor: "Bob", text: "👍" })).toBeUndefined();
  });
});
