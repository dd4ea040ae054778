/** A job over HTTP: accepted once, then found wherever it is. */
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { z } from "zod";
import { jobData, startApi } from "./given.ts";

let api: Awaited<ReturnType<typeof startApi>>;

beforeAll(async () => {
  api = await startApi({ redisUrl: inject("redisUrl"), dynamoDbUrl: inject("dynamoDbUrl") });
});

afterAll(async () => {
  await api[Symbol.asyncDispose]();
});

const good = { pool: "claude", lane: "critical", prompt: "Why is the sky blue?", maxTokens: 100 };
const idOf = (body: unknown): string => z.object({ id: z.string() }).parse(body).id;

test("a job is accepted with 202 and the place where it can be followed", async () => {
  const accepted = await api.post(good);
  expect(accepted.status).toBe(202);
  expect(accepted.body).toEqual({
    id: expect.stringMatching(/^claude\.critical\.[0-9a-z]{26}$/),
    repeated: false,
    deadlineAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
  });
  const location = accepted.headers.get("location") ?? "";
  expect(location).toBe(`/v1/jobs/${idOf(accepted.body)}`);

  const found = await api.get(location);
  expect(found.status).toBe(200);
  expect(found.body).toEqual({
    id: idOf(accepted.body),
    state: "waiting",
    attempts: 0,
    acceptedAt: expect.any(String),
    deadlineAt: z.object({ deadlineAt: z.string() }).parse(accepted.body).deadlineAt,
  });
});

test("the same Idempotency-Key and body is the same job, 200 and `repeated`", async () => {
  const headers = { "idempotency-key": "once" };
  const { waiting } = await api.lane.counts();
  const first = await api.post(good, headers);
  expect(first.status).toBe(202);
  const again = await api.post(Object.fromEntries(Object.entries(good).toReversed()), headers);
  expect(again.status).toBe(200);
  expect(again.body).toEqual({ id: idOf(first.body), repeated: true, state: "waiting" });
  expect(again.headers.get("location")).toBe(first.headers.get("location"));
  const inBody = await api.post({ ...good, idempotencyKey: "once" });
  expect(inBody.body).toEqual(again.body);
  expect((await api.lane.counts()).waiting).toBe(waiting + 1);
});

test("twenty at once with one key are one job", async () => {
  const { waiting } = await api.lane.counts();
  const replies = await Promise.all(
    Array.from({ length: 20 }, async () => api.post(good, { "idempotency-key": "herd" })),
  );
  expect(new Set(replies.map(({ body }) => idOf(body))).size).toBe(1);
  expect(replies.filter(({ status }) => status === 202)).toHaveLength(1);
  expect(replies.filter(({ status }) => status === 200)).toHaveLength(19);
  expect((await api.lane.counts()).waiting).toBe(waiting + 1);
});

test("a conversation is accepted as well as a prompt", async () => {
  const messages = [
    { role: "user", content: [{ text: "Hi" }] },
    { role: "assistant", content: [{ text: "Hello" }] },
    { role: "user", content: [{ text: "How are you?" }] },
  ];
  const { status } = await api.post({ pool: "claude", lane: "bulk", messages, system: "Be brief" });
  expect(status).toBe(202);
});

test("a job fits one request a minute, and a quota just above what it may write", async () => {
  expect((await api.post({ pool: "slow", lane: "critical", prompt: "Hi" })).status).toBe(202);
});

test("a completed job has its answer", async () => {
  const { id, acceptedAt } = await jobData();
  const answer = {
    text: "Rayleigh scattering.",
    stopReason: "end_turn",
    model: "us.anthropic.claude-3-5-sonnet-v2:0",
    usage: { inputTokens: 12, outputTokens: 5, cacheReadTokens: 0, cacheWriteTokens: 0 },
    latencyMs: 900,
  };
  const end = { tenant: "default", acceptedAt, endedAt: acceptedAt + 1_000, attempts: 1 };
  await api.outcomes.put({ outcome: "completed", id, ...end, answer });
  const { status, body } = await api.get(`/v1/jobs/${id}`);
  expect(status).toBe(200);
  expect(body).toEqual({
    id,
    state: "completed",
    attempts: 1,
    acceptedAt: new Date(acceptedAt).toISOString(),
    endedAt: new Date(acceptedAt + 1_000).toISOString(),
    answer,
  });
});

const failure = { kind: "terminal", errorClass: "ValidationException", message: "Too long" } as const;
const dead = { state: "dead", failure: { errorClass: "ValidationException", message: "Too long" } };

test("a dead job says why, from its outcome and, when that has expired, from the dead letter store", async () => {
  const { id, acceptedAt } = await jobData();
  const end = { tenant: "default", acceptedAt, endedAt: acceptedAt, attempts: 1 };
  await api.outcomes.put({ outcome: "dead", id, ...end, failure });
  expect((await api.get(`/v1/jobs/${id}`)).body).toEqual({ id, ...dead });

  const old = await jobData();
  await api.deadLetters.put({ data: old, failure, attempts: 1, stalls: 0, diedAt: old.acceptedAt });
  expect((await api.get(`/v1/jobs/${old.id}`)).body).toEqual({ id: old.id, ...dead });
});

test.each([
  ["a job that never was", async () => (await jobData()).id],
  ["a job of an unknown pool", async () => (await jobData()).id.replace("claude", "gpt")],
  ["a job of an unknown lane", async () => (await jobData()).id.replace("critical", "urgent")],
  ["an id that is none", async () => "42"],
  [
    "a waiting job of another tenant",
    async () => {
      const job = await jobData("acme");
      await api.lane.add(job);
      return job.id;
    },
  ],
  [
    "a dead job of another tenant",
    async () => {
      const data = await jobData("acme");
      await api.deadLetters.put({ data, failure, attempts: 1, stalls: 0, diedAt: data.acceptedAt });
      return data.id;
    },
  ],
])("%s is 404", async (_, make) => {
  const { status, body } = await api.get(`/v1/jobs/${await make()}`);
  expect(status).toBe(404);
  expect(body).toEqual({
    error: { code: "unknown-job", message: "There is no such job, or its outcome is no longer kept" },
  });
});

test("says which workers have no credentials, and still takes jobs", async () => {
  const id = idOf((await api.post(good)).body);
  await api.configure();
  await api.beat("one", "two");
  await api.loseIdentity("one");
  const line = "1 of 2 workers has no valid credentials (ExpiredTokenException)";
  expect(await api.get("/readyz")).toMatchObject({
    status: 200,
    body: { status: "ready", identities: { lab: line } },
  });
  expect((await api.get("/v1/pools/claude")).body).toMatchObject({ identity: line });
  expect((await api.get(`/v1/jobs/${id}/explain`)).body).toMatchObject({ identity: line });
  await api.loseIdentity("two");
  const isolated = "Isolated: 2 of 2 workers have no valid credentials (ExpiredTokenException)";
  expect((await api.get(`/v1/jobs/${id}/explain`)).body).toMatchObject({ why: isolated });
  expect((await api.post(good)).status).toBe(202);
  await api.beat();
  expect((await api.get("/readyz")).body).toEqual({ status: "ready" });
});

test("says that it lives and that it is ready", async () => {
  expect(await api.get("/healthz")).toMatchObject({ status: 200, body: { status: "ok" } });
  expect(await api.get("/readyz")).toMatchObject({ status: 200, body: { status: "ready" } });
});
