import { submissionSchema } from "@sluice/job";
import { describe, expect, test } from "vitest";
import { makeWorkload, POOL } from "../src/dev/workload.ts";

const documents = Array.from({ length: 7 }, (_, index) => ({
  title: `package-${index}`,
  text: `Text of package ${index}. `.repeat(100 * (index + 1)),
}));

const { submissions } = makeWorkload(documents, 300);
const prompts = submissions.map(({ prompt = "" }) => prompt);

test("every submission is one that the API takes", () => {
  for (const submission of submissions) expect(submissionSchema.safeParse(submission).success).toBe(true);
  expect(new Set(submissions.map(({ pool }) => pool))).toEqual(new Set([POOL]));
});

test("no two prompts are the same, also when documents are used again", () => {
  expect(new Set(prompts).size).toBe(300);
  expect(prompts[8]).toContain("# package-1 (2)\n");
});

test("lanes are mixed 3 : 9 : 8 in every twenty, and more urgent ones ask for less", () => {
  const count = (lane: string): number =>
    submissions.slice(0, 20).filter((each) => each.lane === lane).length;
  expect([count("critical"), count("standard"), count("bulk")]).toEqual([3, 9, 8]);
  const asked = new Map(submissions.map(({ lane, maxTokens }) => [lane, maxTokens]));
  expect(Object.fromEntries(asked)).toEqual({ critical: 200, standard: 300, bulk: 400 });
});

test("a few fail for good and a few are filtered", () => {
  expect(prompts.filter((prompt) => prompt.startsWith("[[sim:ValidationException]]"))).toHaveLength(4);
  expect(prompts.filter((prompt) => prompt.startsWith("[[sim:content_filtered]]"))).toHaveLength(3);
  expect(prompts.filter((prompt) => prompt.startsWith("Summarise this"))).toHaveLength(293);
});

describe("the quota", () => {
  test("grows with the work, and looks like one", () => {
    const one = makeWorkload(documents, 300).tokensPerMinute;
    const two = makeWorkload(documents, 600).tokensPerMinute;
    expect(two / one).toBeGreaterThan(1.8);
    expect(two / one).toBeLessThan(2.2);
    expect(String(one)).toMatch(/^\d\d0+$/);
  });

  test("and the slots have a floor", () => {
    expect(makeWorkload([], 0)).toEqual({ submissions: [], tokensPerMinute: 10_000, slots: 24 });
    expect(makeWorkload(documents, 1).tokensPerMinute).toBe(10_000);
  });
});

test("without a document it says so", () => {
  expect(() => makeWorkload([], 1)).toThrow("Found no README file");
});
