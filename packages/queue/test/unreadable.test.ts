import { expect, test } from "vitest";
import { assertCounters, mended } from "../src/unreadable.ts";

test("what can be read is left as it is", () => {
  expect(mended({ data: '{"a":1}', opts: "{}", progress: "0", name: "x" })).toEqual({});
  expect(mended({})).toEqual({});
  expect(mended({ data: "null", opts: '{"attempts":1}', atm: "0", ats: "12", stc: "-1" })).toEqual({});
});

test.each(["", "many", "1.5", "12 ", "1e3", "9".repeat(16)])("a counter of '%s' is none", (text) => {
  expect(mended({ atm: text, ats: "1", stc: text })).toEqual({ atm: "0", stc: "0" });
  expect(() => assertCounters([["name", "x", "atm", text], "id", 0, 0])).toThrow(TypeError);
});

test("a reply without a job, or with one that can be counted, is fine", () => {
  for (const reply of [undefined, null, [], [null, 0, 0, 1], [["data", "many", "atm", "1"], "id", 0, 0]]) {
    expect(() => assertCounters(reply)).not.toThrow();
  }
});
