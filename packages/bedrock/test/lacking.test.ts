/** Answers that lack something, and errors in the place of an answer, by the simulator for every kind of call. */
import { start, type Simulator } from "@sluice/simulator";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import type { BedrockCaller } from "../src/index.ts";
import { kinds, open, type Given, type Kind } from "./kinds.ts";

let simulator: Simulator;
let bedrock: BedrockCaller;
let given: Given;

beforeAll(async () => {
  simulator = await start({ timeScale: 0 });
  bedrock = open(simulator.url);
  given = { timeoutMs: 20_000, jobId: "m.bulk.1", invocationArn: "", onText: () => undefined };
  const started = await kinds.startAsync.make(bedrock, given);
  if (started.type !== "started") throw new Error(`Expected a start, got ${started.type}`);
  given = { ...given, invocationArn: started.invocationArn };
});

afterAll(async () => {
  bedrock.close();
  await simulator.stop();
});

/** Makes one call that meets a fault. Resolves to its end, and to what the simulator knows about it. */
async function meet({ operation, make }: Kind, fault: string) {
  const [id] = simulator.addFaults([{ operation, fault }]);
  onTestFinished(() => simulator.removeFaults(id));
  const { next } = simulator.calls();
  const result = await make(bedrock, given);
  await expect.poll(() => simulator.calls(next).calls).toHaveLength(1);
  return { result, seen: simulator.calls(next).calls[0] };
}

const answering = (["converse", "stream", "invoke", "invokeStream"] as const).map(
  (name): readonly [string, Kind] => [name, kinds[name]],
);

describe.each(answering)("%s", (_, kind) => {
  test("without usage is answered, at an estimated price", async () => {
    const { result, seen } = await meet(kind, "no-usage");
    expect(result).toMatchObject({ type: "answered", usageEstimated: true });
    const written = seen?.outputTokens ?? 0;
    const near = (tokens: number): boolean => tokens >= written * 0.8 && tokens <= written * 1.3;
    expect(result).toHaveProperty("answer.usage.outputTokens", expect.toSatisfy(near));
  });

  test("without content is answered", async () => {
    const { result, seen } = await meet(kind, "no-content");
    expect(result).toMatchObject({ type: "answered", answer: { text: "", stopReason: "end_turn" } });
    expect(result).toHaveProperty("answer.usage.outputTokens", seen?.outputTokens);
    expect(result).not.toHaveProperty("usageEstimated");
  });

  test("of nothing but a guardrail is filtered", async () => {
    const { result } = await meet(kind, "guardrail-empty");
    expect(result).toMatchObject({
      type: "filtered",
      answer: { text: "", stopReason: "guardrail_intervened" },
    });
  });
});

test.each(Object.entries<Kind>(kinds))("%s with an error in the place of an answer", async (_, kind) => {
  const { result, seen } = await meet(kind, "error-body");
  expect(seen).toMatchObject({ outcome: "error", error: "body", settledTokens: 0 });
  expect(result).toMatchObject({
    type: "failed",
    failure: { errorClass: "ThrottlingException", dimension: "requests", requestId: seen?.requestId },
    charge: "request",
  });
});
