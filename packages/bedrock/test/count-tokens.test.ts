import { start, type Simulator } from "@sluice/simulator";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { BedrockCaller } from "../src/index.ts";
import { open } from "./kinds.ts";

const MODEL = "us.anthropic.claude-sonnet-4-6-v1:0";
const messages = [{ role: "user" as const, content: [{ text: "x".repeat(400) }] }];
const request = { messages, system: "y".repeat(40), maxTokens: 100 };

let simulator: Simulator;
let bedrock: BedrockCaller;

beforeAll(async () => {
  simulator = await start({ timeScale: 0 });
  bedrock = open(simulator.url);
});

afterAll(async () => {
  bedrock.close();
  await simulator.stop();
});

async function count(model: string, signal = new AbortController().signal): Promise<number | undefined> {
  return bedrock.countTokens({ model, request, signal, timeoutMs: 5_000 });
}

test("the prompt is counted, and takes no quota", async () => {
  const { next } = simulator.calls();
  expect(await count(MODEL)).toBe(110);
  expect(simulator.calls(next).calls).toMatchObject([{ operation: "CountTokens", reservedTokens: 0 }]);
});

test("what cannot be counted is not known", async () => {
  expect(await count("nobody.has-this-v1:0")).toBeUndefined();
  expect(await count(MODEL, AbortSignal.abort())).toBeUndefined();
  const [id] = simulator.addFaults([{ fault: { type: "error", name: "ThrottlingException" } }]);
  expect(await count(MODEL)).toBeUndefined();
  simulator.removeFaults(id);
  expect(await count(MODEL)).toBe(110);
});
