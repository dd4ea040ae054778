import { describe, expect, test } from "vitest";
import { nameSchema, queueName, submissionSchema, tenantSchema } from "../src/index.ts";

const good = { pool: "claude", lane: "bulk", prompt: "Say hello" };
const messages = [{ role: "user", content: [{ text: "Say hello" }] }];

function problems(submission: unknown): string[] {
  const parsed = submissionSchema.safeParse(submission);
  return parsed.success
    ? []
    : parsed.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`);
}

describe("a submission", () => {
  test("needs a pool, a lane and a prompt, and is a conversation by default", () => {
    expect(submissionSchema.parse(good)).toEqual({ ...good, kind: "converse" });
  });

  test("may carry messages in place of a prompt", () => {
    expect(problems({ pool: "claude", lane: "bulk", messages })).toEqual([]);
  });

  test.each([
    ["both prompt and messages", { ...good, messages }, ": Expected either `prompt` or `messages`"],
    ["neither", { pool: "claude", lane: "bulk" }, ": Expected either `prompt` or `messages`"],
    ["an empty prompt", { ...good, prompt: "" }, "prompt: Expected a prompt, got empty text"],
    ["a blank prompt", { ...good, prompt: " \n" }, "prompt: Expected a prompt, got empty text"],
  ])("refuses %s", (_what, submission, problem) => {
    expect(problems(submission)).toEqual([problem]);
  });

  test.each([
    ["no messages", { messages: [] }],
    ["a first message of the assistant", { messages: [{ role: "assistant", content: [{ text: "Hi" }] }] }],
    ["a message without content", { messages: [{ role: "user", content: [] }] }],
    ["an empty text block", { messages: [{ role: "user", content: [{ text: "" }] }] }],
    ["an unknown role", { messages: [{ role: "system", content: [{ text: "Hi" }] }] }],
  ])("refuses %s", (_what, part) => {
    expect(problems({ pool: "claude", lane: "bulk", ...part })).not.toEqual([]);
  });

  test.each([
    ["an unknown field", { max_tokens: 5 }],
    ["maxTokens 0", { maxTokens: 0 }],
    ["a fraction of a token", { maxTokens: 1.5 }],
    ["a temperature above 1", { temperature: 1.1 }],
    ["five stop sequences", { stopSequences: ["a", "b", "c", "d", "e"] }],
    ["a deadline of no time", { deadlineMs: 0 }],
    ["21 attempts", { maxAttempts: 21 }],
    ["an empty idempotency key", { idempotencyKey: "" }],
    ["an idempotency key of 257 characters", { idempotencyKey: "k".repeat(257) }],
    ["a kind that does not exist", { kind: "embed" }],
    ["a deadline of more than 30 days", { deadlineMs: 30 * 24 * 3_600_000 + 1 }],
    ["a delay of more than 30 days", { delayMs: 30 * 24 * 3_600_000 + 1 }],
    ["a time without an offset", { runAt: "2027-01-01T00:00:00" }],
    ["both a delay and a time", { delayMs: 1, runAt: "2027-01-01T00:00:00Z" }],
    ["a prompt class that is no name", { promptClass: "Summary of X" }],
  ])("refuses %s", (_what, part) => {
    expect(problems({ ...good, ...part })).toHaveLength(1);
  });
});

describe("a submission of another kind", () => {
  const to = { pool: "claude", lane: "bulk" };

  test.each([
    { ...to, kind: "stream", prompt: "Say hello" },
    { ...to, kind: "invoke", body: { inputText: "hello" }, maxTokens: 0, stream: false },
    { ...to, kind: "invoke", body: { messages: [] }, maxTokens: 9, stream: true },
    { ...to, kind: "async", modelInput: { text: "a fox" }, outputS3Uri: "s3://bucket/prefix" },
  ])("$kind carries its own request", (submission) => {
    expect(submissionSchema.parse(submission)).toEqual(submission);
  });

  test("an invoke does not stream unless it says so", () => {
    const submission = { ...to, kind: "invoke", body: { inputText: "hello" }, maxTokens: 0 };
    expect(submissionSchema.parse(submission)).toEqual({ ...submission, stream: false });
  });

  test.each([
    ["a stream of nothing", { ...to, kind: "stream" }],
    ["a body in a conversation", { ...good, body: {} }],
    ["a prompt beside a body", { ...to, kind: "invoke", body: {}, maxTokens: 1, prompt: "Say hello" }],
    ["a body that does not say what it may write", { ...to, kind: "invoke", body: {} }],
    ["an answer to a place that is not S3", { ...to, kind: "async", modelInput: {}, outputS3Uri: "/tmp" }],
    ["text", "Say hello"],
    ["nothing", undefined],
  ])("refuses %s", (_what, submission) => {
    expect(problems(submission)).not.toEqual([]);
  });
});

describe("a name", () => {
  test.each(["a", "0", "claude-sonnet-4", "a--b", "x".repeat(48)])("may be %s", (name) => {
    expect(nameSchema.safeParse(name).success).toBe(true);
    expect(tenantSchema.safeParse(name).success).toBe(true);
  });

  test.each(["", "-a", "a-", "A", "a.b", "a:b", "a{b}", "a b", "ä", "a\n", "x".repeat(49)])(
    "may not be %j",
    (name) => {
      expect(nameSchema.safeParse(name).success).toBe(false);
      expect(tenantSchema.safeParse(name).success).toBe(false);
    },
  );

  test("makes the queue's name", () => {
    expect(queueName("claude", "bulk")).toBe("claude.bulk");
  });
});
