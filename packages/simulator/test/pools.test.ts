/** Which calls share a quota, and what happens to it over time, through the real client under virtual time. */
import { ConverseCommand } from "@aws-sdk/client-bedrock-runtime";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type ModelTable, type Simulator, start } from "../src/index.ts";
import { ask, createClient } from "./clients.ts";
import { failureOf } from "./failure.ts";
import { type VirtualClock, virtualClock } from "./virtual-clock.ts";

/** Answers take no time to speak of, so that nothing refills meanwhile. */
const latency = { timeToFirstTokenMs: 0, tokensPerSecond: 1e9, sigma: 0 };
const quota = { tokensPerMinute: 1_000, requestsPerMinute: null, latency };
const PROFILE = "us.amazon.nova-pro-v1:0";
const GLOBAL = "global.amazon.nova-pro-v1:0";
const BARE = "amazon.nova-pro-v1:0";
const models: ModelTable = { [PROFILE]: quota, [GLOBAL]: quota, [BARE]: quota };

let clock: VirtualClock;
let simulator: Simulator;

beforeEach(async () => {
  // A whole minute and a whole day: the edges of fixed windows.
  clock = virtualClock(Date.parse("2026-11-22T00:00:00Z"));
  simulator = await start({ clock, models, tokensPerDay: 3_000 });
});

afterEach(async () => {
  await simulator.stop();
});

/** The message a call is refused with; undefined when it is answered. */
async function send(modelId: string, maxTokens: number, region = "us-east-1"): Promise<string | undefined> {
  const client = createClient(simulator.url, { region, transport: "HTTP/1.1" });
  const failure = await failureOf(
    client.send(new ConverseCommand(ask(modelId, "Hi", { inferenceConfig: { maxTokens } }))),
  );
  client.destroy();
  return failure instanceof Error ? failure.message : undefined;
}

const TOO_MANY_TOKENS = "Too many tokens, please wait before trying again.";

test("a profile, the global profile, the bare model and each Region have quotas of their own", async () => {
  expect(await send(PROFILE, 999)).toBeUndefined();
  expect(await send(PROFILE, 999)).toBe(TOO_MANY_TOKENS);
  expect(await send(GLOBAL, 999)).toBeUndefined();
  expect(await send(BARE, 999)).toBeUndefined();
  expect(await send(PROFILE, 999, "eu-west-1")).toBeUndefined();
});

test("an ARN draws on the quota of the profile it names", async () => {
  const arn = `arn:aws:bedrock:us-east-1:111122223333:inference-profile/${PROFILE}`;
  expect(await send(arn, 999)).toBeUndefined();
  expect(await send(PROFILE, 999)).toBe(TOO_MANY_TOKENS);
});

test("what a call did not use is there for the next one; the rest comes back with time", async () => {
  expect(await send(PROFILE, 999)).toBeUndefined();
  const left = 1_000 - (simulator.calls().calls[0]?.settledTokens ?? 0);
  // The prompt itself is one token.
  expect(await send(PROFILE, left)).toBe(TOO_MANY_TOKENS);
  expect(await send(PROFILE, left - 1)).toBeUndefined();
  clock.advance(60_000);
  expect(await send(PROFILE, 999)).toBeUndefined();
});

test("tokens per day are one quota for all models of a Region, until midnight UTC", async () => {
  const answers: (string | undefined)[] = [];
  for (let call = 0; call < 40; call += 1) {
    answers.push(await send([PROFILE, GLOBAL, BARE][call % 3] ?? PROFILE, 900));
    clock.advance(60_000);
  }
  expect(answers.filter((answer) => answer === undefined).length).toBeGreaterThan(3);
  expect(answers.at(-1)).toBe("Too many tokens per day, please wait before trying again.");
  clock.advance(24 * 3_600_000);
  expect(await send(PROFILE, 900)).toBeUndefined();
});
