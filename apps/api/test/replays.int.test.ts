/** A dead job that is replayed, as whoever enqueued it sees it: under its own id and its own idempotency key. */
import { Replayer, type LetterRef } from "@sluice/drain";
import { jobDataSchema, replayId, type Failure, type Outcome } from "@sluice/job";
import { createRedisLimiter, lanesNamed } from "@sluice/limits";
import { keySpace } from "@sluice/redis";
import { ChunkStream, Lineage, OutcomeStore } from "@sluice/results";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { z } from "zod";
import { POOLS, startApi } from "./given.ts";

let api: Awaited<ReturnType<typeof startApi>>;

beforeAll(async () => {
  api = await startApi({ redisUrl: inject("redisUrl"), dynamoDbUrl: inject("dynamoDbUrl") });
  // As a worker does when it starts.
  const limiter = createRedisLimiter({ redis: api.redis, keySpace: keySpace(api.name, "lab") });
  await limiter.configure("claude", {
    quota: POOLS.pools.claude.quota,
    lanes: lanesNamed(POOLS.pools.claude.lanes),
  });
});

afterAll(async () => {
  await api[Symbol.asyncDispose]();
});

const failure: Failure = { kind: "terminal", errorClass: "ValidationException", message: "Too long" };
const answer = {
  text: "Rayleigh scattering.",
  stopReason: "end_turn",
  model: "us.anthropic.claude-3-5-sonnet-v2:0",
  usage: { inputTokens: 12, outputTokens: 5, cacheReadTokens: 0, cacheWriteTokens: 0 },
  latencyMs: 900,
};
const submission = { pool: "claude", lane: "critical", prompt: "Why is the sky blue?", maxTokens: 100 };
const viewSchema = z.looseObject({ id: z.string(), state: z.string(), replay: z.number().optional() });

/** A job that was accepted with the key and has died, and what may happen to it from then on. */
async function deadJob(key: string) {
  const headers = { "idempotency-key": key };
  const { id } = viewSchema
    .partial()
    .required({ id: true })
    .parse((await api.post(submission, headers)).body);
  const space = keySpace(api.name, "lab");
  const lineage = new Lineage(api.redis, space);
  const outcomes = new OutcomeStore(api.redis, space);
  const replayer = new Replayer({
    letters: api.deadLetters,
    pools: new Map([
      [
        "claude",
        {
          lanes: POOLS.pools.claude.lanes,
          deadlineMs: 60_000,
          lineage,
          outcomes,
          lane: () => api.lane,
          polls: { find: async () => undefined },
        },
      ],
    ]),
    clock: Date.now,
  });

  /** Ends a life as the worker, and the mover, do. */
  async function end(life: number, how: "completed" | "dead"): Promise<void> {
    const jobId = replayId(id, life);
    const { data } = z.object({ data: jobDataSchema }).parse(await api.lane.find(jobId));
    const diedAt = Date.now();
    const ended = { id: jobId, tenant: "default", acceptedAt: diedAt, endedAt: diedAt, attempts: 1 };
    if (how === "dead") await api.deadLetters.put({ data, failure, attempts: 1, stalls: 0, diedAt });
    const outcome: Outcome =
      how === "dead" ? { ...ended, outcome: how, failure } : { ...ended, outcome: how, answer };
    await outcomes.put(outcome);
    await api.lane.withdraw(jobId);
    if (how === "completed") await api.deadLetters.resolve(jobId);
  }

  async function replay(): Promise<void> {
    const letter = await api.deadLetters.look(id);
    if (letter === undefined) throw new Error("Expected a letter");
    const { jobId, replays } = letter;
    const ref: LetterRef = { id, jobId, pool: "claude", lane: "critical", replays };
    expect(await replayer.one(ref, "ann")).toMatchObject({ outcome: "queued" });
  }

  await end(0, "dead");
  return {
    id,
    end,
    replay,
    lineage,
    outcomes,
    get: async (of = id) => viewSchema.parse((await api.get(`/v1/jobs/${of}`)).body),
    again: async () => api.post(submission, headers),
    explain: async () => (await api.get(`/v1/jobs/${id}/explain`)).body,
    cancel: async () => {
      const response = await fetch(`${api.url}/v1/jobs/${id}/cancel`, { method: "POST" });
      const body: unknown = await response.json();
      return { status: response.status, body };
    },
    chunks: new ChunkStream(api.redis, space),
  };
}

test("its answer is the job's answer, under every id of it and its idempotency key", async () => {
  const job = await deadJob("answered");
  expect(await job.get()).toEqual({
    id: job.id,
    state: "dead",
    failure: { errorClass: "ValidationException", message: "Too long" },
  });
  await job.replay();
  const { waiting } = await api.lane.counts();
  expect(await job.get()).toMatchObject({ id: job.id, state: "waiting", replay: 1 });
  expect(await job.again()).toMatchObject({
    status: 200,
    body: { id: job.id, repeated: true, state: "waiting", replay: 1 },
  });
  expect(await job.explain()).toMatchObject({ id: job.id, state: "waiting", replay: 1, gate: {} });

  await job.end(1, "completed");
  for (const id of [job.id, `${job.id}.r1`]) {
    expect(await job.get(id)).toMatchObject({ id, state: "completed", replay: 1, answer });
  }
  expect(await job.again()).toMatchObject({
    status: 200,
    body: { id: job.id, repeated: true, state: "completed", replay: 1 },
  });
  expect(await job.explain()).toEqual({
    id: job.id,
    state: "completed",
    replay: 1,
    reason: "completed",
    why: "It was answered. This is its replay 1",
  });
  expect((await api.lane.counts()).waiting).toBe(waiting - 1);
});

test("it may die again, be parked, be taken back and be answered at last: the job is always its latest life", async () => {
  const job = await deadJob("again");
  await job.replay();
  await job.end(1, "dead");
  expect(await job.get()).toMatchObject({ state: "dead", replay: 1 });
  await api.deadLetters.park(job.id, { by: "ann", note: "Later" });
  expect(await job.get()).toMatchObject({ state: "dead", replay: 1 });
  await job.replay();
  expect(await job.get()).toMatchObject({ state: "waiting", replay: 2 });
  await job.end(2, "completed");
  for (const id of [job.id, `${job.id}.r1`, `${job.id}.r2`]) {
    expect(await job.get(id)).toMatchObject({ id, state: "completed", replay: 2 });
  }
});

test("cancelling the job cancels its replay", async () => {
  const job = await deadJob("cancelled");
  expect(await job.cancel()).toMatchObject({ status: 409 });
  await job.replay();
  expect(await job.cancel()).toEqual({ status: 200, body: { id: job.id, state: "cancelled" } });
  expect(await job.get()).toEqual({ id: job.id, state: "cancelled", replay: 1 });
  expect(await api.lane.find(`${job.id}.r1`)).toBeUndefined();
});

test("its text is the job's stream, also for a reader who has seen the text of the life before", async () => {
  const job = await deadJob("streamed");
  const events = async (headers: Readonly<Record<string, string>> = {}): Promise<string[]> => {
    const response = await fetch(`${api.url}/v1/jobs/${job.id}/stream`, { headers });
    return [...(await response.text()).matchAll(/^event: (.*)$/gm)].map(([, name = ""]) => name);
  };
  const write = async (life: string, text: string, how: "completed" | "failed"): Promise<void> => {
    const writer = job.chunks.open({ id: life, call: 1, maxTokens: 100, onError: () => {} });
    writer.write(text);
    await writer.end(how);
  };
  await write(job.id, "Half an ans", "failed");
  expect(await events()).toEqual(["started", "text", "failed"]);
  await job.replay();
  // A reader of the job who is there before its replay runs.
  const reading = events({ "last-event-id": "1-1" });
  await write(`${job.id}.r1`, "The answer", "completed");
  await job.end(1, "completed");
  expect(await reading).toEqual(["restarted", "text", "completed"]);
  expect(await events()).toEqual(["started", "text", "completed"]);
});

test("it is found when nothing of the first life is kept any more, and where an older version started it", async () => {
  const job = await deadJob("forgotten");
  await job.replay();
  const space = keySpace(api.name, "lab");
  // The tombstone has expired; only the letter knows.
  await api.redis.del(`${space}:outcome:${job.id}`, `${space}:lineage:${job.id}`);
  expect(await job.get()).toMatchObject({ state: "waiting", replay: 1 });
  await job.end(1, "completed");
  expect(await job.get()).toMatchObject({ state: "completed", replay: 1, answer });
  // Its answer is forgotten too: as with any other job.
  await api.redis.del(`${space}:outcome:${job.id}.r1`);
  expect((await api.get(`/v1/jobs/${job.id}`)).status).toBe(404);
});

test("a job of which only the letter is left has a stream that ends", async () => {
  const job = await deadJob("old");
  await api.redis.del(`${keySpace(api.name, "lab")}:outcome:${job.id}`);
  const response = await fetch(`${api.url}/v1/jobs/${job.id}/stream`, { signal: AbortSignal.timeout(4_000) });
  expect(await response.text()).toContain("event: failed");
});

test("who reads while it is replayed, dies and ends never sees it go back", async () => {
  const job = await deadJob("raced");
  const seen: string[] = [];
  const done = new AbortController();
  const reading = (async () => {
    while (!done.signal.aborted) {
      const { state, replay = 0 } = await job.get();
      const line = `${replay} ${state}`;
      if (seen.at(-1) !== line) seen.push(line);
    }
  })();
  await job.replay();
  await job.end(1, "dead");
  await job.replay();
  await job.end(2, "completed");
  await expect.poll(() => seen.at(-1)).toBe("2 completed");
  done.abort();
  await reading;
  const order = ["0 dead", "1 waiting", "1 dead", "2 waiting", "2 completed"];
  expect(seen).toEqual(order.filter((line) => seen.includes(line)));
});
