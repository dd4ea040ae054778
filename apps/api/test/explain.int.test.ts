/** Why a job is where it is: every reason, on a real Redis with a real limiter. */
import { adviceFor, machineTime, newJobId, NO_NOTES, type Failure, type JobData } from "@sluice/job";
import { createRedisLimiter, lanesNamed } from "@sluice/limits";
import { Intake, LaneQueue, LockKeeper, POLLS_LANE, Slots, WaitingGrants, type HeldJob } from "@sluice/queue";
import { connect, keySpace, type KeySpace } from "@sluice/redis";
import { cacheKey, CallLedger, ResponseCache } from "@sluice/results";
import { afterEach, beforeEach, expect, inject, onTestFinished, test } from "vitest";
import { z } from "zod";
import { jobData, startApi } from "./given.ts";

const explained = z.looseObject({ state: z.string(), reason: z.string(), why: z.string() });
const MODEL = "us.anthropic.claude-3-5-sonnet-v2:0";
const LIMITS = { quota: { tokensPerMinute: 1_000_000 }, lanes: lanesNamed(["critical", "bulk"]) };
const SMALL = { pool: "claude", lane: "critical", prompt: "Hi", maxTokens: 10 };

let api: Awaited<ReturnType<typeof startApi>>;
let space: KeySpace;

beforeEach(async () => {
  api = await startApi({ redisUrl: inject("redisUrl"), dynamoDbUrl: inject("dynamoDbUrl") });
  space = keySpace(api.name, "lab");
  await api.configure();
  await api.beat("one");
});

afterEach(async () => api[Symbol.asyncDispose]());

const limiter = () => createRedisLimiter({ redis: api.redis, keySpace: space });

async function explain(id: string): Promise<z.infer<typeof explained>> {
  const { status, body } = await api.get(`/v1/jobs/${id}/explain`);
  expect(status).toBe(200);
  return explained.parse(body);
}

async function accepted(part: object = {}): Promise<string> {
  const { status, body } = await api.post({ ...SMALL, ...part });
  expect(status).toBe(202);
  return z.object({ id: z.string() }).parse(body).id;
}

/** A worker fetches the critical lane of a pool; resolves to the first job it gets, and keeps it. */
async function fetched(pool = "claude"): Promise<HeldJob & { vanish(): Promise<void> }> {
  const locks = new LockKeeper({
    times: { inHandMs: 20_000, callMs: 20_000 },
    onLost: () => {},
    onError: () => {},
  });
  locks.start();
  const taken = Promise.withResolvers<HeldJob>();
  const released = Promise.withResolvers<undefined>();
  const redis = connect(inject("redisUrl"), "worker", () => {});
  const intake = new Intake({
    keySpace: space,
    pool,
    lane: "critical",
    ...machineTime,
    redis,
    slots: new Slots(["critical"], 1),
    waiting: new WaitingGrants(),
    locks,
    take: async (job) => {
      taken.resolve(job);
      return released.promise;
    },
    stalledIntervalMs: 60_000,
    onError: () => {},
    onUnreadable: () => {},
  });
  onTestFinished(async () => {
    released.resolve(undefined);
    await intake.stop();
    await intake.close();
    locks.stop();
    redis.disconnect();
  });
  await intake.start();
  const job = await taken.promise;
  const vanish = async (): Promise<void> => {
    await api.redis.del(`${space}:${pool}.critical:${job.id}:lock`);
  };
  return Object.assign(job, { vanish });
}

async function admit(pool: string, id: string): Promise<void> {
  const answer = await limiter().admit({
    pool,
    lane: "critical",
    id,
    job: id,
    cost: { requests: 1, tokens: 10 },
    ttlMs: 60_000,
  });
  expect(answer.type).toBe("granted");
}

const throttled: Failure = {
  kind: "throttled",
  errorClass: "ThrottlingException",
  message: "Too many tokens",
};

test("no worker runs", async () => {
  const id = await accepted();
  await api.beat();
  expect(await explain(id)).toMatchObject({
    state: "waiting",
    reason: "no-worker",
    why: "No worker of its pool's scope is running",
  });
});

test("it is next, or behind another", async () => {
  const first = await accepted();
  const second = await accepted();
  expect(await explain(first)).toMatchObject({ reason: "next", why: "It is next", ahead: 0 });
  expect(await explain(second)).toMatchObject({
    reason: "ahead",
    why: "One job of its lane is before it",
    ahead: 1,
  });
});

test("the pool is closed, by whatever closes it: waiting, at the gate, and with a fallback", async () => {
  await limiter().configure("narrow", LIMITS);
  const id = await accepted();
  const other = await accepted({ pool: "narrow" });

  await limiter().operate("claude", { type: "open", forMs: 30_000 });
  expect(await explain(id)).toMatchObject({
    reason: "breaker",
    why: expect.stringMatching(
      /^The pool takes no calls: an operator has opened its breaker, and it tries one in (?:\d+ s|1 min)$/,
    ),
    gate: { answer: "open", cause: "breaker", byHand: true },
  });
  await limiter().operate("narrow", { type: "isolate" });
  expect(await explain(other)).toMatchObject({
    reason: "isolated",
    why: "An operator has isolated the pool: it makes no call until one closes its breaker. Meanwhile claude may answer in its place",
  });

  await fetched();
  expect(await explain(id)).toMatchObject({
    state: "active",
    reason: "breaker",
    why: expect.stringMatching(/^It is at the gate\. The pool takes no calls/),
  });
});

test("Bedrock asked for no calls, or the tokens of the day are used up", async () => {
  const id = await accepted();
  await admit("claude", "a");
  await limiter().settle({ pool: "claude", id: "a", outcome: "failed", actual: {}, holdMs: 90_000 });
  expect(await explain(id)).toMatchObject({
    reason: "hold",
    why: expect.stringMatching(
      /^Bedrock has asked for no calls \(Retry-After\) for another 1 min (?:2\d|30) s$/,
    ),
  });
  await limiter().operate("claude", { type: "close" });
  await admit("claude", "b");
  const throttledDimension = "tokens-per-day";
  await limiter().settle({ pool: "claude", id: "b", outcome: "throttled", actual: {}, throttledDimension });
  expect(await explain(id)).toMatchObject({
    reason: "day",
    why: expect.stringMatching(/^The tokens of the day are used up: the pool is parked for \d+ (?:h|min|s)/),
  });
});

test("it waits for quota, or for a slot", async () => {
  await limiter().configure("slow", { ...LIMITS, quota: { requestsPerMinute: 1 } });
  const id = await accepted({ pool: "slow" });
  await admit("slow", "a");
  expect(await explain(id)).toMatchObject({
    reason: "quota",
    why: expect.stringMatching(/^It is next; the quota has room in \d+ (?:ms|s|min)/),
  });

  await limiter().configure("narrow", LIMITS);
  const next = await accepted({ pool: "narrow" });
  await admit("narrow", "a");
  expect(await explain(next)).toMatchObject({ reason: "next" });
  await admit("narrow", "b");
  expect(await explain(next)).toMatchObject({
    reason: "slots",
    why: "It is next, and calls fill the slots that its lane may use (2 under way, 2 of 1 worker)",
  });
  // One of the two is kept for the critical lane.
  const bulk = await accepted({ pool: "narrow", lane: "bulk" });
  await limiter().settle({ pool: "narrow", id: "b", outcome: "ok", actual: { requests: 1, tokens: 10 } });
  expect(await explain(bulk)).toMatchObject({
    reason: "slots",
    why: expect.stringContaining("1 under way, 1 of 1"),
  });
});

test("a start that was asked for", async () => {
  const id = await accepted({ delayMs: 3_600_000 });
  const { why, ...rest } = await explain(id);
  expect(rest).toMatchObject({ state: "delayed", reason: "scheduled", dueAt: expect.any(String) });
  expect(why).toMatch(/^It was asked for not before \d{4}-\d\d-\d\dT[\d:.]+Z, in (?:59 min \d+ s|1 h)$/);
});

test.each([
  [
    "after a failure it comes back",
    { ...NO_NOTES, failures: 1, last: throttled },
    "retry",
    /^Its last call failed: ThrottlingException: Too many tokens\. Its next try is due in (?:5\d s|1 min)$/,
  ],
  [
    "kept apart after throttles",
    { ...NO_NOTES, failures: 4, throttles: 4, apart: true, last: throttled },
    "apart",
    /^It was throttled 4 times in a row while others were answered, so it is kept apart .* due in /,
  ],
  ["handed back", NO_NOTES, "handed-back", /^It was handed back without a call, and is due in /],
])("%s", async (_, notes, reason, why) => {
  const id = await accepted();
  const job = await fetched();
  await job.defer({ delayMs: 60_000, attempt: false, notes });
  expect(await explain(id)).toMatchObject({
    state: "delayed",
    reason,
    why: expect.stringMatching(why),
    ...(notes.last === undefined ? {} : { failure: { errorClass: "ThrottlingException" } }),
  });
  await limiter().operate("claude", { type: "open", forMs: 30_000 });
  expect((await explain(id)).why).toContain(". The pool takes no calls");
});

test("the notes of a newer version are for a worker of that version", async () => {
  const id = await accepted();
  const job = await fetched();
  await job.defer({ delayMs: 60_000, attempt: false, notes: { ...NO_NOTES, failures: 1, last: throttled } });
  const key = `${space}:claude.critical:${id}`;
  const fields = await api.redis.hgetall(key);
  const [field, notes] = Object.entries(fields).find(([, value]) => value.includes('"failures":1')) ?? [
    "",
    "",
  ];
  await api.redis.hset(key, field, JSON.stringify({ ...JSON.parse(notes), version: 2 }));
  expect(await explain(id)).toMatchObject({
    state: "delayed",
    reason: "newer-version",
    why:
      "A newer version of Sluice wrote its notes (version 2, this program reads up to 1): " +
      "it waits for a worker of that version",
  });
});

test("it waits for the answer to an equal request, which is named", async () => {
  const data: JobData = { ...(await jobData()), cacheMs: 60_000 };
  await api.lane.add(data);
  const request = { messages: [{ role: "user", content: [{ text: "Hi" }] }], maxTokens: 10 };
  const key = cacheKey({
    tenant: "default",
    pool: "claude",
    model: MODEL,
    request: { kind: "converse", request },
  });
  const leader = newJobId("claude", "critical", Date.now());
  await new ResponseCache(api.redis, space, Date.now).lead({
    key,
    jobId: leader,
    ttlMs: 60_000,
    answerMs: 60_000,
  });
  const job = await fetched();
  await job.defer({ delayMs: 5_000, attempt: false });
  expect(await explain(data.id)).toMatchObject({
    state: "delayed",
    reason: "shared",
    leader,
    why: `An equal request is being answered, job ${leader}: it gets that answer, and looks again soon`,
  });
});

test("its call is at Bedrock, or was when its worker vanished", async () => {
  const id = await accepted();
  const job = await fetched();
  expect(await explain(id)).toMatchObject({
    state: "active",
    reason: "next",
    why: "It is at the gate, and about to start",
  });

  const ledger = new CallLedger({ redis: api.redis, keySpace: space });
  // The pool's timeout, and the minute in which an answer is stored.
  await ledger.begin({ id, owner: "one", maxCalls: 5, leaseMs: 120_000 + 60_000 });
  const explanation = await explain(id);
  expect(explanation).toMatchObject({
    reason: "at-bedrock",
    why: expect.stringMatching(
      /^Its call 1 has been at Bedrock for \d+ (?:ms|s), and may take \d+ (?:s|min)/,
    ),
    call: { number: 1, atMostMs: expect.any(Number), sinceMs: expect.any(Number) },
  });
  expect(explanation).not.toHaveProperty("gate");

  // A call in a fallback pool has that pool's time.
  await ledger.end({ id, owner: "one" });
  await ledger.begin({ id, owner: "one", maxCalls: 5, leaseMs: 17_000 + 60_000 });
  const inFallback = z.object({ call: z.object({ sinceMs: z.number(), atMostMs: z.number() }) });
  const { call } = inFallback.parse(await explain(id));
  expect(call.atMostMs).toBe(17_000);
  expect(call.sinceMs).toBeLessThan(15_000);

  await api.beat("another");
  expect(await explain(id)).toMatchObject({
    reason: "lost-call",
    why: expect.stringContaining("vanished during call 2"),
  });
  await ledger.end({ id, owner: "one" });
  await job.vanish();
  expect(await explain(id)).toMatchObject({ reason: "worker-gone" });
});

test("Bedrock works on an async call", async () => {
  const data = await jobData();
  const polls = new LaneQueue({
    redis: api.redis,
    keySpace: space,
    pool: "claude",
    lane: POLLS_LANE,
    clock: Date.now,
    onError: () => {},
  });
  onTestFinished(async () => polls.close());
  const invocation = { arn: "arn:aws:bedrock:us-east-1:1:async-invoke/x", startedAt: Date.now() - 90_000 };
  await polls.add({ ...data, invocation }, 10_000);
  expect(await explain(data.id)).toMatchObject({
    state: "active",
    reason: "async",
    why: expect.stringMatching(/^Bedrock has worked on its async call for 1 min 3\d s/),
  });
});

test("a dead one: why, what to do, and where its letter is", async () => {
  const failure: Failure = { kind: "terminal", errorClass: "ValidationException", message: "Too long." };
  const advice = adviceFor(failure) ?? "";
  expect(advice).not.toBe("");
  const id = await accepted();
  await (await fetched()).fail(failure);
  expect(await explain(id)).toMatchObject({
    state: "dead",
    reason: "dead",
    why: `It failed for good: ValidationException: Too long. ${advice}. It is on its way to the dead letters`,
    failure: { errorClass: "ValidationException", message: "Too long.", advice },
  });

  const data = await jobData();
  await api.deadLetters.put({ data, failure, attempts: 1, stalls: 0, diedAt: Date.now() });
  expect(await explain(data.id)).toMatchObject({
    state: "dead",
    letter: { id: data.id, state: "dead" },
    why: expect.stringMatching(new RegExp(`Its dead letter is \`sluice dead-letters show ${data.id}\`$`)),
  });
});

test("one that was answered from the cache, filtered or cancelled", async () => {
  const common = { tenant: "default", acceptedAt: 1, endedAt: 2, attempts: 1 };
  const answer = {
    text: "",
    stopReason: "content_filtered",
    model: MODEL,
    usage: { inputTokens: 1, outputTokens: 1, cacheReadTokens: 0, cacheWriteTokens: 0 },
    latencyMs: 1,
  };
  const why = async (outcome: object): Promise<string> => {
    const { id } = await jobData();
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- one of the three below
    await api.outcomes.put({ id, ...common, ...outcome } as Parameters<typeof api.outcomes.put>[0]);
    return (await explain(id)).why;
  };
  expect(await why({ outcome: "completed", answer })).toBe("It was answered");
  expect(await why({ outcome: "completed", answer: { ...answer, cached: true } })).toBe(
    "It was answered as an equal request was before, without a call",
  );
  expect(await why({ outcome: "filtered", answer })).toBe("A content filter stopped it (content_filtered)");
  expect(await why({ outcome: "cancelled" })).toBe("It was cancelled");
});
