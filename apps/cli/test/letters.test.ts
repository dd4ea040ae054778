import { expect, test } from "vitest";
import { pageEnd } from "../src/letters.ts";

const NONE = { items: [], lookedAt: 0 };

test("the end of a list counts every row above it, those that cannot be read too", () => {
  expect(pageEnd(NONE)).toBe("0 letters");
  expect(pageEnd({ ...NONE, unreadable: ["a"] })).toBe("1 letter, 1 of them not readable");
  expect(pageEnd({ ...NONE, unreadable: ["a", "b"], cursor: "c" })).toBe(
    "2 letters, 2 of them not readable; go on with --cursor 'c'",
  );
});
