/** Cancelling a job over HTTP whose worker was killed in its call, before another has fetched it. */
import { queueName } from "@sluice/job";
import { expect, inject, test } from "vitest";
import { CallLedger, Heartbeat } from "@sluice/results";
import { z } from "zod";
import { startApi } from "./given.ts";

test("gives back what the call and a grant that never started had reserved", async () => {
  await using api = await startApi({ redisUrl: inject("redisUrl"), dynamoDbUrl: inject("dynamoDbUrl") });
  const { redis, keySpace, limiter } = api;
  await api.configure();
  const body = { pool: "claude", lane: "critical", prompt: "Why is the sky blue?", maxTokens: 100 };
  const { id } = z.object({ id: z.string() }).parse((await api.post(body)).body);

  // What is left of two fetches by workers that are gone.
  const heartbeat = new Heartbeat({ redis, keySpace, onError: () => {} });
  await heartbeat.start();
  const [sent, unsent] = [`${id}/1/claude`, `${id}/2/claude`];
  const asked = { pool: "claude", lane: "critical", job: id, ttlMs: 3_600_000 };
  const cost = { tokens: 500, "tokens-per-day": 500 };
  for (const reservation of [sent, unsent]) await limiter.admit({ ...asked, id: reservation, cost });
  await new CallLedger({ redis, keySpace }).begin({
    id,
    owner: heartbeat.owner,
    maxCalls: 3,
    leaseMs: 60_000,
    held: { reservation: sent, ifLost: { tokens: 120, "tokens-per-day": 120 } },
  });
  await heartbeat.stop();
  await redis.hset(`${keySpace}:${queueName("claude", "critical")}:${id}`, { ats: 2, stc: 2 });
  expect(await limiter.inspect("claude")).toMatchObject({ reservations: 2, day: { used: 1_000 } });

  const cancelled = await fetch(`${api.url}/v1/jobs/${id}/cancel`, { method: "POST" });
  expect(await cancelled.json()).toEqual({ id, state: "cancelled" });
  expect(await limiter.inspect("claude")).toMatchObject({ reservations: 0, day: { used: 120 } });
});
