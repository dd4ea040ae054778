import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { contentProblem, parseExact } from "../src/index.ts";

const typeOf = (text: string): string => parseExact(text).type;

describe("parseExact", () => {
  test.each([
    "9007199254740993",
    "-9007199254740993",
    "9007199254740993.0",
    "9007199254740993e0",
    "9223372036854775807",
    "12345678901234567e1",
    "1e-400",
    "1e400",
    "0.12345678901234567890123",
    `0.${"1".repeat(100_000)}`,
    `1e${"1".repeat(100_000)}`,
  ])("refuses %s, which a double would change", (number) => {
    for (const text of [number, `{"a":${number}}`, `[1, ${number} ]`, `{"a":[{"b": ${number}\n}]}`]) {
      const read = parseExact(text);
      expect(read).toMatchObject({ type: "changed", problem: expect.stringContaining("Expected numbers") });
    }
  });

  test.each([
    "0",
    "-0.0",
    "0e999999999999",
    "0.1",
    "1.50",
    "1e3",
    "1E+21",
    "100000000000000000000000",
    "0.30000000000000004",
    "5e-324",
    "1.7976931348623157e308",
    "9007199254740992",
    "123456789012345680",
  ])("takes %s, which is the same number again", (number) => {
    expect(parseExact(`[${number}]`)).toEqual({ type: "value", value: [Number(number)] });
  });

  test.each([
    '{"a":1,"a":1}',
    '{"idempotencyKey":"one","x":{},"idempotencyKey":"two"}',
    '[{"a":{"b":[],"c":1,"b":2}}]',
    '{"a":1,"\\u0061":2}',
    '{"\\"":1,"x":"\\\\","\\"":2}',
    '{"":1,"":2}',
  ])("refuses %s, of which a parser takes the last", (text) => {
    expect(parseExact(text)).toMatchObject({ type: "changed", problem: expect.stringContaining("key") });
  });

  test.each([
    '{"a":{"a":1},"b":[{"a":1},{"a":1}]}',
    '{"a":"a","b":"a"}',
    '{"a":"{\\"a\\":1,\\"a\\":9007199254740993}"}',
    '{"a":["a","a",",\\\\"],"b":"\\\\\\""}',
  ])("takes %s", (text) => {
    expect(parseExact(text)).toEqual({ type: "value", value: JSON.parse(text) });
  });

  test.each(["", "{", "{'a':1}", "01", "1 2", "NaN"])("says that %s is no JSON", (text) => {
    expect(typeOf(text)).toBe("no-json");
  });

  test("takes what JSON.stringify has written, with any spaces", () => {
    const space = fc.constantFrom(undefined, 1, "\t");
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5 }), space, (value, indent) => {
        if (contentProblem(value) !== undefined) return;
        const text = JSON.stringify(value, undefined, indent);
        expect(parseExact(text)).toEqual({ type: "value", value: JSON.parse(text) });
      }),
    );
  });

  test("is quick with much of anything, and never recurses", () => {
    const began = performance.now();
    for (const text of [
      `[${"9,".repeat(500_000)}9]`,
      `"${"\\\\".repeat(1_000_000)}"`,
      `"${'\\"'.repeat(1_000_000)}"`,
      `{${Array.from({ length: 100_000 }, (_, index) => `"${index}":0.5`).join(",")}}`,
      `[${"1".repeat(2_000_000)}]`,
      `[${"[".repeat(60)}${"]".repeat(60)}]`,
    ]) {
      expect(["value", "changed"]).toContain(typeOf(text));
    }
    expect(performance.now() - began).toBeLessThan(5_000);
  });
});
