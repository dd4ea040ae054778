/** Answers as callers get them: what lacks something is bought once, what a filter stopped leaves no words. */
import { expect, inject, test, vi } from "vitest";
import { PATIENTLY, startFleet, type FleetOptions } from "./fleet.ts";

const FILTERED_MESSAGE = "This was not answered";
async function startHere(options: Partial<FleetOptions> = {}) {
  const { redisUrl, dynamoDbUrl } = { redisUrl: inject("redisUrl"), dynamoDbUrl: inject("dynamoDbUrl") };
  return startFleet({ redisUrl, dynamoDbUrl, latencyMs: 50, ...options });
}

vi.setConfig({ testTimeout: 60_000 });

test("an answer that lacks something is bought once, and an error in its place is tried again", async () => {
  await using fleet = await startHere();
  await fleet.startWorker();
  const faults = ["no-usage", "no-content", "guardrail-empty", "error-body*1"] as const;
  const ids = await fleet.submit(
    (["converse", "stream"] as const).flatMap((kind) => faults.map((fault) => ({ kind, fault }))),
  );
  const expected = ["completed", "completed", "filtered", "completed"];
  await vi.waitFor(async () => expect(await fleet.ends(ids)).toEqual([...expected, ...expected]), PATIENTLY);

  const calls = await fleet.callsByJob();
  expect(ids.map((id) => calls.get(id))).toEqual([1, 1, 1, 2, 1, 1, 1, 2]);
  const outcomes = await Promise.all(ids.map(async (id) => fleet.outcome(id)));
  expect(
    outcomes.map((outcome) => outcome?.outcome === "completed" && outcome.answer.usageEstimated),
  ).toEqual([true, undefined, false, undefined, true, undefined, false, undefined]);
  // What was refused in the body of a success counts against nobody.
  expect(outcomes.map((outcome) => outcome?.attempts)).toEqual(ids.map(() => outcomes[0]?.attempts));
});

test("a stream that a filter stopped has the pool's own text, for who read along and for who comes later", async () => {
  await using fleet = await startHere({ poolKeys: { filteredMessage: FILTERED_MESSAGE } });
  await fleet.startWorker();
  const [id = ""] = await fleet.submit([{ kind: "stream", fault: "content_filtered", maxTokens: 400 }]);
  const read = async (): Promise<{ types: string[]; text: string; everything: string }> => {
    const seen = { types: [] as string[], text: "", everything: "" };
    for await (const event of fleet.chunks.read({ id })) {
      if (event.type === "restarted") seen.text = "";
      if (event.type === "text") {
        seen.text += event.text;
        seen.everything += event.text;
      }
      if (seen.types.at(-1) !== event.type) seen.types.push(event.type);
    }
    return seen;
  };

  expect(await read()).toMatchObject({
    text: FILTERED_MESSAGE,
    types: expect.arrayContaining(["restarted"]),
  });
  expect(await fleet.outcome(id)).toMatchObject({
    outcome: "filtered",
    answer: { text: FILTERED_MESSAGE, stopReason: "content_filtered" },
  });
  expect(await read()).toEqual({
    types: ["restarted", "text", "incomplete"],
    text: FILTERED_MESSAGE,
    everything: FILTERED_MESSAGE,
  });
});
