/** Limits of time: silence of a stream, the budget of a whole answer, and a process that stood still. */
import { execFile } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { LONGEST_CALL_MS } from "@sluice/job/time";
import { callBudgetMs } from "../src/estimate/index.ts";
import { createBedrock } from "../src/index.ts";
import { timeLimit, watchLoop } from "../src/sdk/time-limit.ts";
import { startEndpoint } from "./endpoint.ts";
import { event } from "./frames.ts";

const request = { messages: [{ role: "user" as const, content: [{ text: "Hi" }] }], maxTokens: 1_000 };

describe("the budget of a call", () => {
  test.each([
    ["a whole answer: its writing comes on top", { kind: "converse", request }, 170_000],
    [
      "of whole bodies alike",
      { kind: "invoke", request: { body: {}, maxTokens: 2_000, stream: false } },
      220_000,
    ],
    ["nothing to write", { kind: "async", request: { modelInput: {}, outputS3Uri: "s3://a/b" } }, 120_000],
    ["a stream has all the time there is", { kind: "stream", request }, LONGEST_CALL_MS],
    [
      "streamed bodies alike",
      { kind: "invoke", request: { body: {}, maxTokens: 1, stream: true } },
      LONGEST_CALL_MS,
    ],
    [
      "never more than that",
      { kind: "converse", request: { ...request, maxTokens: 200_000 } },
      LONGEST_CALL_MS,
    ],
  ] as const)("%s", (_, work, expected) => {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- read-only by `as const`
    expect(callBudgetMs(120_000, work as Parameters<typeof callBudgetMs>[1])).toBe(expected);
  });
});

async function streaming(write: (chunk: (text: string) => void, end: () => void) => Promise<void>) {
  const endpoint = await startEndpoint((response) => {
    response.on("error", () => {});
    response.writeHead(200, { "content-type": "application/vnd.amazon.eventstream" });
    response.flushHeaders();
    void write(
      (text) => response.write(event("contentBlockDelta", { contentBlockIndex: 0, delta: { text } })),
      () => response.end(event("messageStop", { stopReason: "end_turn" })),
    );
  });
  const bedrock = createBedrock({
    region: "us-east-1",
    endpoint: endpoint.url,
    credentials: { accessKeyId: "a", secretAccessKey: "b" },
    maxConnections: 2,
    clock: Date.now,
  });
  onTestFinished(async () => {
    bedrock.close();
    await endpoint[Symbol.asyncDispose]();
  });
  const { signal } = new AbortController();
  const call = { model: "m", request, jobId: "j", signal, onText: () => {} };
  return bedrock.stream({ ...call, timeoutMs: 60_000, silenceMs: 400 });
}

describe("a stream", () => {
  test("that is never silent for long takes as long as it likes", async () => {
    const result = await streaming(async (chunk, end) => {
      for (let part = 0; part < 10; part += 1) {
        await sleep(100);
        chunk("x");
      }
      end();
    });
    expect(result).toMatchObject({ type: "answered", answer: { text: "xxxxxxxxxx" } });
  });

  test.each([
    ["before its first event", 0],
    ["in the middle", 3],
  ])("that falls silent %s is cut, and says so", async (_, parts) => {
    const result = await streaming(async (chunk) => {
      for (let part = 0; part < parts; part += 1) chunk("x");
    });
    expect(result).toMatchObject({
      rule: "timeout",
      failure: { errorClass: "TimeoutError", message: "The stream was silent for 400 ms" },
    });
  });
});

/** Holds this thread, as a process that is stopped is held. */
function standStill(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

describe("a process that stood still", () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  test("reads what has arrived before it calls it late", async () => {
    const loop = watchLoop();
    onTestFinished(() => loop.stop());
    const order: string[] = [];
    const limit = timeLimit(100, loop, () => void order.push("over"));
    const another = timeLimit(2_600, loop, () => void order.push("over"));
    const done = new Promise<void>((resolve) => {
      execFile("true", () => {
        order.push("arrived");
        resolve();
      });
    });
    standStill(2_700);
    await done;
    // The one that was due right afterwards as well.
    await sleep(300);
    expect(order).toEqual(["arrived"]);
    limit.clear();
    another.clear();
  });

  test("still calls it late in the end", { timeout: 10_000 }, async () => {
    const over = Promise.withResolvers<number>();
    const startedAt = performance.now();
    const loop = watchLoop();
    onTestFinished(() => loop.stop());
    timeLimit(100, loop, () => over.resolve(performance.now() - startedAt));
    standStill(2_700);
    expect(await over.promise).toBeGreaterThan(4_000);
  });

  test("knows it", async () => {
    const loop = watchLoop();
    onTestFinished(() => loop.stop());
    const before = performance.now();
    await sleep(20);
    expect(loop.stoodAfter(before)).toBe(false);
    standStill(2_700);
    expect(loop.stoodAfter(before)).toBe(true);
    await sleep(20);
    expect(loop.stoodAfter(performance.now())).toBe(false);
  });
});
