import { expect, test } from "vitest";
import { mended } from "../src/unreadable.ts";

test("what can be read is left as it is", () => {
  expect(mended({ data: '{"a":1}', opts: "{}", progress: "0", name: "x" })).toEqual({});
  expect(mended({})).toEqual({});
  expect(mended({ data: "null", opts: '{"attempts":1}' })).toEqual({});
});
