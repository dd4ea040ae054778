/** What others have written is shown as it is, and not obeyed. */
import * as fc from "fast-check";
import { afterEach, describe, expect, test, vi } from "vitest";
import { print, printable, printJson, tell } from "../src/terminal.ts";

const SCREEN_CLEARED = "\u001B[2J\u001B]0;title\u0007";

const UNSEEN = /[\p{Cc}\p{Bidi_Control}\u2028\u2029]/u;

afterEach(() => {
  vi.restoreAllMocks();
});

function printed(stream: "stdout" | "stderr", work: () => void): string {
  let all = "";
  vi.spyOn(process[stream], "write").mockImplementation((chunk) => {
    all += String(chunk);
    return true;
  });
  work();
  return all;
}

describe("what is printed", () => {
  test.each([
    ["an escape sequence", SCREEN_CLEARED, String.raw`\u001b[2J\u001b]0;title\u0007`],
    ["one of eight bits", "\u009B2J", String.raw`\u009b2J`],
    ["a line of its own", "dead\nsluice: all is well\r", String.raw`dead\u000asluice: all is well\u000d`],
    ["text from right to left", "abc\u202Ecba", String.raw`abc\u202ecba`],
    ["letters of any language", "Straße 道 👍", "Straße 道 👍"],
  ])("%s", (_, text, shown) => {
    expect(printable(text)).toBe(shown);
  });

  test("holds no control character but the ends of our lines, whoever composed it", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 40 }), (text) => {
        expect(printable(text)).not.toMatch(UNSEEN);
      }),
      { numRuns: 20 },
    );
    const text = `one\n${SCREEN_CLEARED}\ntwo`;
    for (const all of [printed("stdout", () => print(text)), printed("stderr", () => tell(text))]) {
      expect(all.split("\n")).toEqual(["one", printable(SCREEN_CLEARED), "two", ""]);
    }
  });

  test("as JSON means the same, without the characters", () => {
    const value = { message: `${SCREEN_CLEARED} \u009B \u202E \u2028`, lines: "a\nb" };
    const all = printed("stdout", () => printJson(value, 2));
    expect(all.replaceAll("\n", "")).not.toMatch(UNSEEN);
    expect(JSON.parse(all)).toEqual(value);
  });

  test("to people has no password of a URL", () => {
    expect(printed("stderr", () => tell("sluice: redis://u:hunter2@h does not answer"))).not.toContain(
      "hunter2",
    );
  });
});
