import { ConverseCommand } from "@aws-sdk/client-bedrock-runtime";
import { array, assert, boolean, integer, property, record } from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Call, FinishedCall } from "../src/evidence/call.ts";
import { createLedger } from "../src/evidence/ledger.ts";
import { peakOf } from "../src/evidence/peak.ts";
import { type Simulator, start } from "../src/index.ts";
import { ask, createClient } from "./clients.ts";

const NOVA = "us.amazon.nova-pro-v1:0";

function finished(of: Partial<FinishedCall> = {}): FinishedCall {
  return {
    requestId: "r",
    operation: "Converse",
    region: "us-east-1",
    model: NOVA,
    attempt: 1,
    maxAttempts: 1,
    startedAt: 0,
    endedAt: 0,
    admitted: true,
    reservedTokens: 10,
    settledTokens: 5,
    inputTokens: 1,
    outputTokens: 4,
    fault: null,
    requestMetadata: null,
    ...of,
    outcome: "completed",
    stopReason: "end_turn",
  };
}

test("pages follow each other without a gap, and an empty one leaves the reader where it is", () => {
  const ledger = createLedger();
  for (let call = 0; call < 5; call += 1) {
    ledger.begin("us-east-1", NOVA);
    ledger.end(finished());
  }
  const first = ledger.page(0, 3);
  expect(first.calls.map(({ seq }) => seq)).toEqual([1, 2, 3]);
  const second = ledger.page(first.next, 3);
  expect(second.calls.map(({ seq }) => seq)).toEqual([4, 5]);
  expect(ledger.page(second.next, 3)).toEqual({ calls: [], next: 5, forgotten: 0 });
});

describe("the peak", () => {
  test("is the fullest window of all, found by trying every one", () => {
    const anyCall = record({
      startedAt: integer({ min: 0, max: 1_000 }),
      settledTokens: integer({ min: 0, max: 100 }),
      admitted: boolean(),
    });
    assert(
      property(array(anyCall, { maxLength: 40 }), integer({ min: 1, max: 500 }), (some, windowMs) => {
        const calls = some.map((call, index): Call => ({ ...finished(call), seq: index + 1 }));
        const starts = calls.map(({ startedAt }) => startedAt);
        const within = (from: number): Call[] =>
          calls.filter(
            ({ admitted, startedAt }) => admitted && startedAt >= from && startedAt < from + windowMs,
          );
        const sums = starts.map((from) => within(from).reduce((sum, call) => sum + call.settledTokens, 0));
        expect(peakOf(calls, windowMs).settledTokens).toBe(Math.max(0, ...sums));
        expect(peakOf(calls, windowMs).calls).toBe(Math.max(0, ...starts.map((from) => within(from).length)));
      }),
      { numRuns: 300 },
    );
  });
});

describe("over HTTP", () => {
  let simulator: Simulator;

  beforeEach(async () => {
    simulator = await start({ timeScale: 0 });
    const client = createClient(simulator.url);
    await client.send(new ConverseCommand(ask(NOVA, "Hello", { inferenceConfig: { maxTokens: 20 } })));
    await client.send(new ConverseCommand(ask(NOVA, "Hello", { inferenceConfig: { maxTokens: 20 } })));
    client.destroy();
  });

  afterEach(async () => {
    await simulator.stop();
  });

  async function get(path: string): Promise<unknown> {
    const response = await fetch(`${simulator.url}${path}`);
    return response.json();
  }

  test("stats count by Region and model", async () => {
    expect(await get("/_sim/stats")).toMatchObject({
      models: {
        [`us-east-1/${NOVA}`]: {
          calls: 2,
          admitted: 2,
          completed: 2,
          reservedTokens: 44,
          inFlight: 0,
          peakInFlight: 1,
        },
      },
    });
  });

  test("calls come in pages", async () => {
    expect(await get("/_sim/calls?after=1&limit=1")).toMatchObject({
      calls: [{ seq: 2, model: NOVA }],
      next: 2,
    });
    expect(await get("/_sim/calls?after=nonsense")).toMatchObject({
      message: expect.stringContaining("after"),
    });
  });

  test("peaks tell the fullest window", async () => {
    expect(await get("/_sim/peaks?windowMs=60000")).toMatchObject({
      models: { [`us-east-1/${NOVA}`]: { calls: 2, reservedTokens: 44 } },
    });
  });

  test("a reset forgets calls and gives quotas back", async () => {
    await fetch(`${simulator.url}/_sim/reset`, { method: "POST" });
    expect(await get("/_sim/calls")).toMatchObject({ calls: [] });
    expect(await get("/_sim/stats")).toMatchObject({ models: {} });
  });

  test("a model set at run time has its own quota", async () => {
    const set = await fetch(`${simulator.url}/_sim/models`, {
      method: "POST",
      body: JSON.stringify({ "acme.tiny": { tokensPerMinute: 1 } }),
    });
    expect(set.status).toBe(200);
    const client = createClient(simulator.url);
    await expect(client.send(new ConverseCommand(ask("acme.tiny", "Hello")))).rejects.toThrow(
      /Too many tokens/,
    );
    client.destroy();
  });
});
