/** Requests without their text, and back. */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { redactRequest, restoreRequest } from "../src/letters/placeholders.ts";

const REVISION = "1d94af1c-0000-4000-8000-000000000000";

/** Bodies of any shape, with keys and texts that look like pointers and placeholders. */
const text = fc.oneof(fc.string(), fc.constantFrom("⟦redacted", "⟦", "⟧", "/a/b", "~", "%2F", "__proto__"));
const body = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    text,
    fc.integer(),
    fc.boolean(),
    fc.constant(null),
    fc.array(tie("value"), { maxLength: 4 }),
    fc.dictionary(text, tie("value"), { maxKeys: 4 }),
  ),
})).value;

describe("a request", () => {
  test("shows none of its texts, and comes back as it was", () => {
    fc.assert(
      fc.property(body, (request) => {
        const shown = redactRequest(request, "invoke", REVISION);
        expect(restoreRequest(shown, request, REVISION)).toEqual(request);
      }),
    );
  });

  test("that is new comes through as it is", () => {
    const request = { messages: [{ role: "user", content: [{ text: "new" }] }], maxTokens: 5 };
    expect(restoreRequest(request, { other: "stored" }, REVISION)).toEqual(request);
  });

  test("may have its texts moved", () => {
    const stored = { body: { a: "first", b: "second" } };
    const shown = JSON.stringify(redactRequest(stored, "invoke", REVISION));
    const { a, b } = JSON.parse(shown).body;
    expect(restoreRequest({ body: { a: b, c: a } }, stored, REVISION)).toEqual({
      body: { a: "second", c: "first" },
    });
  });

  test("of another revision is refused", () => {
    const shown = redactRequest({ a: "first" }, "invoke", "ffffffff-0000");
    expect(() => restoreRequest(shown, { a: "first" }, REVISION)).toThrow(/Look again/);
  });

  test("does not reach beyond what is stored", () => {
    for (const pointer of ["/__proto__/toString", "/constructor/name", "", "/a/length"]) {
      const placeholder = `⟦redacted 1d94af1c:${pointer}, 3 characters⟧`;
      expect(() => restoreRequest({ a: placeholder }, { a: "first" }, REVISION)).toThrow(
        /stands for no text/,
      );
    }
  });
});
