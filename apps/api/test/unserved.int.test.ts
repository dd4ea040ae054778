/** Lanes that no worker serves, or no pools file names any more: the API says so, and their jobs stay in sight. */
import { parsePools } from "@sluice/config";
import { newJobId, type JobData } from "@sluice/job";
import { encodePayload } from "@sluice/job/payload";
import { LaneQueue, POLLS_LANE } from "@sluice/queue";
import { keySpace } from "@sluice/redis";
import { expect, inject, onTestFinished, test } from "vitest";
import { z } from "zod";
import { POOLS, startApi } from "./given.ts";

async function start(file: object = POOLS) {
  const api = await startApi({
    redisUrl: inject("redisUrl"),
    dynamoDbUrl: inject("dynamoDbUrl"),
    pools: parsePools(JSON.stringify(file), "pools.yaml"),
  });
  onTestFinished(async () => api[Symbol.asyncDispose]());
  const space = keySpace(api.name, "lab");
  return {
    api,
    /** A worker lives, and says that it serves these. */
    serve: async (owner: string, ...lanes: string[]): Promise<void> => {
      await api.redis.zadd(`${space}:heartbeat:owners`, Date.now() + 30_000, owner);
      await api.redis.set(`${space}:serves:${owner}`, JSON.stringify({ version: 1, lanes }), "PX", 30_000);
    },
    /** One with an `invocation` waits for its next poll. */
    add: async (pool: string, lane: string, part: Partial<JobData> = {}): Promise<string> => {
      const queue = new LaneQueue({
        redis: api.redis,
        keySpace: space,
        pool,
        lane: part.invocation === undefined ? lane : POLLS_LANE,
        clock: Date.now,
        onError: () => {},
      });
      const now = Date.now();
      const job: JobData = {
        version: 1,
        id: newJobId(pool, lane, now),
        tenant: "default",
        pool,
        lane,
        kind: "converse",
        payload: await encodePayload({
          messages: [{ role: "user", content: [{ text: "?" }] }],
          maxTokens: 5,
        }),
        acceptedAt: now,
        deadlineAt: now + 60_000,
        maxAttempts: 1,
        ...part,
      };
      await queue.add(job);
      await queue.close();
      return job.id;
    },
  };
}

const NOBODY = "No worker serves this lane: the one that runs does not have it in its pools file";

test("a pool that no worker has started is no outage: what waits there is told, and why", async () => {
  const { api, serve, add } = await start();
  const id = await add("claude", "bulk");
  expect(await api.get("/v1/pools/claude")).toMatchObject({
    status: 200,
    body: { pool: "claude", takesCalls: false, unservedLanes: { bulk: "No worker is running" } },
  });
  expect(await api.get(`/v1/jobs/${id}/explain`)).toMatchObject({
    status: 200,
    body: { state: "waiting", reason: "no-worker", ahead: 0 },
  });
  await serve("one", "claude.critical");
  expect((await api.get("/v1/pools/claude")).body).toMatchObject({ unservedLanes: { bulk: NOBODY } });
  expect((await api.get(`/v1/jobs/${id}/explain`)).body).toMatchObject({ why: NOBODY });
  await serve("two", "claude.bulk", "claude.critical");
  expect((await api.get("/v1/pools/claude")).body).not.toHaveProperty("unservedLanes");
  expect((await api.get(`/v1/jobs/${id}/explain`)).body).toMatchObject({
    why: "No worker has started with this lane yet",
  });
});

test.each([
  ["a lane that was taken out of the file", "claude", "removed"],
  ["a pool that was", "gone", "standard"],
])("jobs of %s are read, explained and cancelled", async (_what, pool, lane) => {
  const { api, serve, add } = await start();
  const id = await add(pool, lane);
  await serve("one", "claude.critical");
  expect(await api.get(`/v1/jobs/${id}`)).toMatchObject({ status: 200, body: { id, state: "waiting" } });
  expect((await api.get(`/v1/jobs/${id}/explain`)).body).toMatchObject({ why: NOBODY });
  const named = pool === "claude" ? { [lane]: NOBODY } : {};
  expect((await api.get("/v1/pools/claude")).body).toMatchObject({
    unservedLanes: { bulk: NOBODY, ...named },
  });
  const cancelled = await fetch(`${api.url}/v1/jobs/${id}/cancel`, { method: "POST" });
  expect(cancelled.status).toBe(200);
  expect((await api.get(`/v1/jobs/${id}`)).body).toMatchObject({ state: "cancelled" });
  // Without a job it is no news.
  expect((await api.get("/v1/pools/claude")).body).not.toHaveProperty(["unservedLanes", lane]);
  // Nothing new goes there, and a guess at a name opens nothing.
  expect(await api.post({ pool, lane, prompt: "?", maxTokens: 5 })).toMatchObject({ status: 404 });
  expect(await api.get(`/v1/jobs/${newJobId("claude", "guessed", Date.now())}`)).toMatchObject({
    status: 404,
  });
});

test.each([
  [
    "another pool is left in the former scope",
    { claude: { ...POOLS.pools.claude, scope: "second" }, small: POOLS.pools.small },
  ],
  ["no pool is left there", { claude: { ...POOLS.pools.claude, scope: "second" } }],
])(
  "jobs of a pool that was moved to another scope are read, explained and cancelled: %s",
  async (_what, pools) => {
    const scopes = { ...POOLS.scopes, second: { region: "us-east-1" } };
    const { api, serve, add } = await start({ scopes, pools });
    const id = await add("claude", "bulk");
    await serve("one", "claude.critical");
    expect(await api.get(`/v1/jobs/${id}`)).toMatchObject({ status: 200, body: { id, state: "waiting" } });
    expect((await api.get(`/v1/jobs/${id}/explain`)).body).toMatchObject({ why: NOBODY });
    const cancelled = await fetch(`${api.url}/v1/jobs/${id}/cancel`, { method: "POST" });
    expect(cancelled.status).toBe(200);
    expect((await api.get(`/v1/jobs/${id}`)).body).toMatchObject({ state: "cancelled" });
    expect(await api.redis.zcard(`${keySpace(api.name, "lab")}:claude.bulk:prioritized`)).toBe(0);
    expect((await api.get(`/v1/jobs/${id}/explain`)).body).toMatchObject({ state: "cancelled" });
    // What is accepted now goes where the pool is now.
    const accepted = await api.post({ pool: "claude", lane: "bulk", prompt: "?", maxTokens: 5 });
    const { id: fresh } = z.object({ id: z.string() }).parse(accepted.body);
    expect((await api.get(`/v1/jobs/${fresh}`)).body).toMatchObject({ state: "waiting" });
    expect(await api.redis.zcard(`${keySpace(api.name, "second")}:claude.bulk:prioritized`)).toBe(1);
  },
);

test("a started async call of a pool that is in no worker's file is told of as one that nobody asks about", async () => {
  const { api, serve, add } = await start();
  const invocation = { arn: "arn:aws:bedrock:async-invoke/abc", startedAt: Date.now() - 60_000 };
  const id = await add("claude", "bulk", {
    kind: "async",
    invocation,
    payload: await encodePayload({ modelInput: { prompt: "?" }, outputS3Uri: "s3://answers/mills" }),
  });
  await serve("one", "other.standard");
  expect((await api.get(`/v1/jobs/${id}/explain`)).body).toMatchObject({
    state: "active",
    reason: "unserved-lane",
    why: expect.stringContaining("no worker asks it for the answer"),
  });
  await serve("two", "claude.bulk", `claude.${POLLS_LANE}`);
  expect((await api.get(`/v1/jobs/${id}/explain`)).body).toMatchObject({ state: "active", reason: "async" });
});

test("a job of a newer version is shown and cancelled; what only such an API can say is 503", async () => {
  const { api, serve } = await start();
  await serve("one", "claude.critical");
  await api.configure();
  const accepted = await api.post({
    pool: "claude",
    lane: "critical",
    prompt: "?",
    maxTokens: 5,
    idempotencyKey: "k",
  });
  const { id } = z.object({ id: z.string() }).parse(accepted.body);
  const key = `${keySpace(api.name, "lab")}:claude.critical:${id}`;
  const data = JSON.parse((await api.redis.hget(key, "data")) ?? "");
  await api.redis.hset(key, "data", JSON.stringify({ ...data, version: 2, payload: { parts: [] } }));
  expect((await api.get(`/v1/jobs/${id}`)).body).toMatchObject({ state: "waiting" });
  expect((await api.get(`/v1/jobs/${id}/explain`)).body).toMatchObject({
    why: expect.stringContaining("it waits for a worker of that version"),
  });
  const [claim = ""] = await api.redis.keys(`${api.name}:*:claim:*`);
  await api.redis.hset(claim, "version", 2);
  const again = await api.post({
    pool: "claude",
    lane: "critical",
    prompt: "?",
    maxTokens: 5,
    idempotencyKey: "k",
  });
  expect(again).toMatchObject({
    status: 503,
    body: { error: { code: "newer-version", message: expect.stringContaining("A newer version of Sluice") } },
  });
  const cancelled = await fetch(`${api.url}/v1/jobs/${id}/cancel`, { method: "POST" });
  expect(cancelled.status).toBe(200);
});
