/** Dead letters, a lane and everything between them, on a real Redis and a real table, in a key space of their own. */
import { randomBytes } from "node:crypto";
import { createDynamoDbStore, ensureTable, type DynamoDbStore } from "@sluice/dead-letter";
import { Mover, Reconciler, Replayer, type LetterRef } from "@sluice/drain";
import { newJobId, queueName, type JobData } from "@sluice/job";
import { encodePayload } from "@sluice/job/payload";
import { FailedSet, LaneQueue } from "@sluice/queue";
import { connect, keySpace } from "@sluice/redis";
import { Lineage, OutcomeStore } from "@sluice/results";
import { Worker, type Job } from "bullmq";
import { inject, onTestFinished } from "vitest";

const LANE = { pool: "claude", lane: "standard" };

const FAILURE = {
  kind: "terminal",
  errorClass: "ValidationException",
  message: "The input is too long",
} as const;

/** A time shorter than any test, and one longer. */
export const BRIEF_MS = 1;
export const LONG_MS = 60_000;

export async function startReplays({ perLane = 20 } = {}) {
  const name = `replay-test-${randomBytes(4).toString("hex")}`;
  const redis = connect(inject("redisUrl"), "worker", () => {});
  const space = keySpace(name, "lab");
  const lane = new LaneQueue({ redis, keySpace: space, ...LANE, clock: Date.now, onError: () => {} });
  const outcomes = new OutcomeStore(redis, space);
  const lineage = new Lineage(redis, space);
  const failed = new FailedSet(redis, space, LANE.pool, LANE.lane);
  const dynamoDb = {
    endpoint: inject("dynamoDbUrl"),
    region: "us-east-1",
    credentials: { accessKeyId: "local", secretAccessKey: "local" },
  };
  await ensureTable({ tableName: name, ...dynamoDb });
  const store: DynamoDbStore = createDynamoDbStore({ tableName: name, ...dynamoDb });
  const consumer = new Worker<JobData>(queueName(LANE.pool, LANE.lane), null, {
    connection: redis,
    prefix: space,
    autorun: false,
  });
  const mover = new Mover({
    outboxes: [
      {
        ...LANE,
        queue: queueName(LANE.pool, LANE.lane),
        outcomes,
        cancels: { isRequested: async () => false },
        left: { settleAll: async () => {} },
        size: async () => failed.size(),
        oldest: async (limit) => failed.oldest(limit),
        drop: async (job) => failed.drop(job),
      },
    ],
    deadLetters: store,
    emit: () => {},
    clock: Date.now,
    random: Math.random,
  });

  /** As an operator's process has one. */
  const newReplayer = (): Replayer =>
    new Replayer({
      letters: store,
      pools: new Map([
        [
          LANE.pool,
          {
            lanes: [LANE.lane],
            deadlineMs: LONG_MS,
            lineage,
            outcomes,
            lane: () => lane,
            polls: { find: async () => undefined },
          },
        ],
      ]),
      perLane,
      waitMs: 20,
      clock: Date.now,
    });

  /** As a worker has one. */
  const newReconciler = (): Reconciler =>
    new Reconciler({
      lanes: [
        {
          ...LANE,
          deadlineMs: LONG_MS,
          outcomes,
          lineage,
          find: async (id) => lane.find(id),
          add: async (job) => lane.add(job),
        },
      ],
      letters: {
        died: async (of, state, { from, until }, cursor) => {
          const at = cursor === undefined ? {} : { cursor };
          return store.list({ state, by: { lane: of }, from, until, limit: 100, ...at });
        },
        async replaying(of, cursor) {
          const from = cursor === undefined ? {} : { cursor };
          const page = await store.list({ state: "replaying", by: { lane: of }, limit: 100, ...from });
          return { ...page, items: page.items.filter((letter) => letter.state === "replaying") };
        },
        claim: async (id, command) => store.claim(id, command),
        resolve: async (id) => store.resolve(id),
        release: async (id, command) => store.release(id, command),
      },
      emit: () => {},
      clock: Date.now,
      random: Math.random,
    });

  /** A letter of a job that has died. */
  async function dead(text = "Summarise this"): Promise<LetterRef> {
    const now = Date.now();
    const data: JobData = {
      version: 1,
      id: newJobId(LANE.pool, LANE.lane, now),
      tenant: "acme",
      ...LANE,
      kind: "converse",
      payload: await encodePayload({ messages: [{ role: "user", content: [{ text }] }], maxTokens: 10 }),
      acceptedAt: now,
      deadlineAt: now + LONG_MS,
      maxAttempts: 3,
    };
    await store.put({ data, failure: FAILURE, attempts: 3, stalls: 0, diedAt: now });
    return { id: data.id, jobId: data.id, ...LANE, replays: 0 };
  }

  async function next(): Promise<Job<JobData> | undefined> {
    return consumer.getNextJob("token");
  }

  /** Answers a job as a worker does: first its outcome, then the queue. */
  async function answer(job: Job<JobData>): Promise<void> {
    const { id = "", data } = job;
    const { tenant, acceptedAt } = data;
    await outcomes.put({ outcome: "cancelled", id, tenant, acceptedAt, endedAt: Date.now(), attempts: 1 });
    job.opts.removeOnComplete = true;
    await job.moveToCompleted({ outcome: "cancelled" }, "token", false);
  }

  /** Lets a job die, and moves it to its letter. */
  async function die(job: Job<JobData>): Promise<void> {
    job.opts.attempts = 1;
    await job.moveToFailed(new Error("no"), "token", false);
    await mover.sweep();
  }

  onTestFinished(async () => {
    await consumer.close(true);
    await lane.close();
    const keys = await redis.keys(`${name}:*`);
    if (keys.length > 0) await redis.del(keys);
    redis.disconnect();
    store.close();
  });
  return { store, lane, outcomes, dead, next, answer, die, newReplayer, newReconciler };
}
