import { assert, integer, property, string } from "fast-check";
import { describe, expect, test } from "vitest";
import { type AnswerRequest, composeAnswer } from "../src/answer/answer.ts";
import { countTokens } from "../src/answer/tokens.ts";

const asked: AnswerRequest = { prompt: "", maxTokens: 200, stopSequences: [], medianTokens: 300, sigma: 0.5 };

const DOCUMENT = `Summarise this document in a paragraph.

# parcel

[![build](https://example.com/badge.svg)](https://example.com)

Parcel is a small library that packs files into archives. It has no dependencies and runs everywhere Node runs.

\`\`\`js
import { pack } from "parcel";
\`\`\`

Archives are written as streams, so that large files never sit in memory. Reading archives back checks every file
against its checksum. The weather was pleasant on the day of the release.`;

describe("an answer", () => {
  test("is the same for the same prompt, and never longer than asked for", () => {
    assert(
      property(string({ maxLength: 500 }), integer({ min: 1, max: 2_000 }), (prompt, maxTokens) => {
        const request = { ...asked, prompt, maxTokens };
        const answer = composeAnswer(request);
        expect(answer).toEqual(composeAnswer(request));
        expect(answer.outputTokens).toBeLessThanOrEqual(maxTokens);
        expect(answer.outputTokens).toBe(Math.max(1, countTokens(answer.text)));
        expect(answer.stopReason === "max_tokens").toBe(
          answer.stopReason === "max_tokens" && answer.outputTokens === maxTokens,
        );
      }),
      { numRuns: 300 },
    );
  });

  test("mostly ends by itself, and now and then runs into its limit", () => {
    const answers = Array.from({ length: 500 }, (_, index) =>
      composeAnswer({ ...asked, prompt: `Prompt ${index}` }),
    );
    const cut = answers.filter(({ stopReason }) => stopReason === "max_tokens").length;
    expect(cut).toBeGreaterThan(10);
    expect(cut).toBeLessThan(100);
    const mean = answers.reduce((sum, { outputTokens }) => sum + outputTokens, 0) / answers.length;
    expect(mean).toBeGreaterThan(80);
    expect(mean).toBeLessThan(150);
  });

  test("to a wish for a summary is made of the document's own sentences, not of its code", () => {
    const { text } = composeAnswer({ ...asked, prompt: DOCUMENT });
    expect(text).toContain("Parcel is a small library that packs files into archives.");
    expect(text).not.toMatch(/Summarise|import|badge|#/);
  });

  test("ends before a stop sequence", () => {
    const full = composeAnswer({ ...asked, prompt: "Tell me about boats" });
    const word = full.text.split(" ")[3] ?? "";
    const cut = composeAnswer({ ...asked, prompt: "Tell me about boats", stopSequences: [word] });
    expect(cut).toMatchObject({ stopReason: "stop_sequence", stopSequence: word });
    expect(full.text.startsWith(`${cut.text}${word}`)).toBe(true);
  });

  test("of a long document comes quickly", () => {
    const long = `Summarise this: ${"Water runs over the sluice and down to the mill. ".repeat(20_000)}`;
    const startedAt = performance.now();
    composeAnswer({ ...asked, prompt: long });
    expect(performance.now() - startedAt).toBeLessThan(2_000);
  });
});
