import * as fc from "fast-check";
import { expect, test } from "vitest";
import { safeMessage } from "../src/index.ts";

test.each([
  ["Too many tokens, please wait before trying again.", "Too many tokens, please wait before trying again."],
  [
    "Invocation of model ID anthropic.claude-x-v1:0 with on-demand throughput isn't supported. Retry with a profile.",
    "Invocation of model ID anthropic.claude-x-v1:0 with on-demand throughput isn't supported. Retry with a profile.",
  ],
  [
    "input length and `max_tokens` exceed context limit: 200145 + 8192 > 204698",
    "input length and `max_tokens` exceed context limit: 200145 + 8192 > 204698",
  ],
  [
    "1 validation error detected: Value 'it's my \"secret\"' at 'messages.1.member.content' failed to satisfy constraint",
    "1 validation error detected: Value … (messages.1.member.content)",
  ],
  ["Value '0' at 'inferenceConfig.maxTokens' failed", "Value … (inferenceConfig.maxTokens)"],
  ["Value 'x' at 'my.secret' failed, Value 'y' at 'text of mine' failed", "Value …"],
  [
    "Malformed input request: extraneous key [my secret] is not permitted",
    "Malformed input request: extraneous key …",
  ],
  ['Malformed input: {"messages":["my secret"]}', "Malformed input: …"],
  ["found “my secret” in it", "found … "],
  ['found="my secret" or-"mine"', "found=…"],
  ["First line.\nThe Canonical String: POST my secret", "First line."],
  ["bell\u0007 and\ttab", "bell  and tab"],
  ["", ""],
])("%s", (message, safe) => {
  expect(safeMessage(message)).toBe(safe.trimEnd());
});

test("a denial keeps its action, its resource and its reason, however long the name of who was denied", () => {
  const user = `arn:aws:sts::111122223333:assumed-role/${"a-long-role-name/".repeat(8)}i-0123456789abcdef0`;
  const model = "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-3-5-sonnet-20241022-v2:0";
  const denied =
    `not authorized to perform: bedrock:InvokeModel on resource: ${model} ` +
    "because no identity-based policy allows the bedrock:InvokeModel action";
  expect(safeMessage(`User: ${user} is ${denied}`)).toBe(denied);
  expect(safeMessage(`User: ${user} is ${denied} "my secret"`)).not.toContain("secret");
});

test("long messages lose their end", () => {
  expect(safeMessage("word ".repeat(100))).toMatch(/^(word ){39}word…$/);
});

test("do not lose it within a character", () => {
  expect(safeMessage(`${"a".repeat(198)}👍 and more`)).toBe(`${"a".repeat(198)}…`);
});

test("never lets quoted text through, whatever quotes it has itself", () => {
  const quotes = fc.constantFrom<[string, string]>(
    ['"', '"'],
    ["'", "'"],
    ["`", "`"],
    ["[", "]"],
    ["{", "}"],
    ["“", "”"],
  );
  const filler = fc.stringMatching(/^['"`\]}” .,]{0,5}$/);
  fc.assert(
    fc.property(quotes, filler, filler, ([open, close], before, after) => {
      const message = `Value ${open}${before}SECRET${after}${close} at 'messages.0' failed`;
      expect(safeMessage(message)).not.toContain("SECRET");
    }),
  );
});

// Making strings of any character is slow on a busy machine, cleaning them is not.
test("is at most 200 characters, on one line", { timeout: 30_000 }, () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 500 }), (message) => {
      const safe = safeMessage(message);
      expect(safe.length).toBeLessThanOrEqual(200);
      expect(safe).not.toMatch(/\p{Cc}/u);
      expect(safe.isWellFormed()).toBe(true);
    }),
  );
});
