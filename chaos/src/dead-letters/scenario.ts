/**
 * Jobs that all die while movers crash at every step, two operators replay everything at once and crash as well, and
 * reconcilers clean up behind them, crashing too. What must come out: one letter per job, every death counted once, every
 * replay run once, nothing left in Redis.
 */
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import {
  createDynamoDbStore,
  ensureTable,
  searchLetters,
  type DeadLetterStore,
  type Letter,
} from "@sluice/dead-letter";
import { Mover, Reconciler, Replayer, type LetterRef } from "@sluice/drain";
import { machineTime, newJobId, parseJobId, queueName, type Failure, type JobData } from "@sluice/job";
import { FailedSet, Intake, LaneQueue, LockKeeper, Slots, WaitingGrants, type HeldJob } from "@sluice/queue";
import { connect, keySpace } from "@sluice/redis";
import { Lineage, OutcomeStore } from "@sluice/results";
import { startServices } from "@sluice/services";
import type { RunOptions } from "../command.ts";
import { seeded } from "../random.ts";
import { Crashes } from "./crashes.ts";

export interface DeadLettersOptions extends RunOptions {
  readonly jobs: number;
  readonly seed: number;
  readonly timeoutMs: number;
}

export interface DeadLettersReport {
  readonly [name: string]: number;
  /** Letters in the store. */
  readonly dead: number;
  /** Jobs without a letter, or whose letter did not get to its end in time. */
  readonly missing: number;
  /** Deaths that were counted twice, or not at all. */
  readonly duplicates: number;
  /** Replays that ran. */
  readonly replays: number;
  /** Runs of replays beyond their first. */
  readonly doubleReplays: number;
  /** Keys of jobs, in whatever state. */
  readonly leftInRedis: number;
  readonly crashes: number;
}

const LANE = { pool: "claude", lane: "standard" } as const;
const FAILURE: Failure = { kind: "terminal", errorClass: "ValidationException", message: "no" };
const CRASH_CHANCE = 0.1;
/** One in so many replays dies once more. */
const DIES_AGAIN = 10;
/** Short, so that what a crash left behind is taken over within the run. */
const LEASE_MS = 500;
const DEADLINE_MS = 10 * 60_000;

export async function runDeadLetters(options: DeadLettersOptions): Promise<DeadLettersReport> {
  const { jobs, seed, timeoutMs, dataDir, redisUrl, dynamoDbUrl, onProgress } = options;
  await using services = await startServices({ only: ["redis", "dynamoDb"], dataDir, redisUrl, dynamoDbUrl });
  const name = `chaos-${randomBytes(4).toString("hex")}`;
  const connection = {
    endpoint: services.dynamoDbUrl,
    region: "us-east-1",
    credentials: { accessKeyId: "local", secretAccessKey: "local" },
  };
  await ensureTable({ tableName: name, ...connection });
  const store = createDynamoDbStore({ tableName: name, ...connection });
  const redis = connect(services.redisUrl, "worker", () => {});
  const space = keySpace(name, "lab");
  const random = seeded(seed);
  const crashes = new Crashes(random, CRASH_CHANCE);
  const outcomes = new OutcomeStore(redis, space);
  const lineage = new Lineage(redis, space);
  const lane = new LaneQueue({ redis, keySpace: space, ...LANE, clock: Date.now, onError: () => {} });
  const failed = new FailedSet(redis, space, LANE.pool, LANE.lane);
  const worker = new ChaosWorker(outcomes, jobs);
  const locks = new LockKeeper({
    times: { inHandMs: 30_000, callMs: 60_000 },
    onLost: () => {},
    onError: () => {},
  });
  const intake = new Intake({
    redis,
    keySpace: space,
    ...LANE,
    ...machineTime,
    slots: new Slots([LANE.lane], 8),
    locks,
    waiting: new WaitingGrants(),
    take: async (job) => worker.take(job),
    onError: () => {},
    stalledIntervalMs: 30_000,
    // What an outcome is kept for must hold without the job as well.
    keepCompleted: { age: 0, count: 0 },
  });

  const ids = Array.from({ length: jobs }, () => newJobId(LANE.pool, LANE.lane, Date.now(), random));
  for (const id of ids) await lane.add(newData(id));
  onProgress(`${jobs} jobs, seed ${seed}`);
  await intake.start();

  const movers = [0, 1, 2].map(
    () =>
      new Mover({
        outboxes: [
          {
            ...LANE,
            queue: queueName(LANE.pool, LANE.lane),
            outcomes: {
              get: async (id) => outcomes.get(id),
              put: async (outcome) => crashes.around(async () => outcomes.put(outcome)),
            },
            cancels: { isRequested: async () => false },
            left: { settleAll: async () => {} },
            size: async () => failed.size(),
            oldest: async (limit) => failed.oldest(limit),
            drop: async (job) => crashes.around(async () => failed.drop(job)),
          },
        ],
        deadLetters: { put: async (death) => crashes.around(async () => store.put(death)) },
        emit: () => {},
        clock: Date.now,
        random,
        everyMs: 100,
      }),
  );
  const reconcilers = [0, 1].map(
    () =>
      new Reconciler({
        lanes: [
          {
            ...LANE,
            deadlineMs: DEADLINE_MS,
            outcomes: { get: async (id) => outcomes.get(id) },
            lineage: { mark: async (job) => crashes.around(async () => lineage.mark(job)) },
            find: async (id) => lane.find(id),
            add: async (job) => crashes.around(async () => lane.add(job)),
          },
        ],
        letters: {
          async replaying(of, cursor) {
            const from = cursor === undefined ? {} : { cursor };
            const page = await store.list({ state: "replaying", by: { lane: of }, limit: 100, ...from });
            return { ...page, items: page.items.filter((letter) => letter.state === "replaying") };
          },
          died: async (of, state, { from, until }, cursor) =>
            store.list({ state, by: { lane: of }, from, until, limit: 100, ...at(cursor) }),
          claim: async (id, command) => crashes.around(async () => store.claim(id, command)),
          resolve: async (id) => crashes.around(async () => store.resolve(id)),
          release: async (id, command) => crashes.around(async () => store.release(id, command)),
        },
        emit: () => {},
        clock: Date.now,
        random,
        everyMs: 200,
        leaseMs: LEASE_MS,
      }),
  );
  worker.onAnswered = (id) => reconcilers[0]?.ended(id);
  for (const part of [...movers, ...reconcilers]) part.start();

  const done = new AbortController();
  const operators = ["ann", "ben"].map(async (by) =>
    operate({ store, lane, lineage, outcomes, crashes }, by, done.signal),
  );
  const deadline = Date.now() + timeoutMs;
  let letters: Letter[] = [];
  while (Date.now() < deadline) {
    await sleep(1_000);
    letters = await allLetters(store);
    const resolved = letters.filter(({ state }) => state === "resolved").length;
    onProgress(`${letters.length} letters, ${resolved} resolved, ${crashes.count} crashes`);
    if (resolved === jobs && (await failed.size()) === 0) break;
  }
  crashes.end();
  done.abort();
  await Promise.all(operators);
  await Promise.all([...movers, ...reconcilers].map(async (part) => part.stop()));
  await intake.stop();
  await intake.settled();
  const hashes = await redis.keys(`${space}:${LANE.pool}.${LANE.lane}:${LANE.pool}.${LANE.lane}.*`);
  const report = {
    ...judge(ids, letters, worker),
    leftInRedis: hashes.length,
    crashes: crashes.count,
  };
  locks.stop();
  await intake.close();
  await lane.close();
  const keys = await redis.keys(`${name}:*`);
  if (keys.length > 0) await redis.del(keys);
  redis.disconnect();
  store.close();
  return report;
}

/** Fails every first life and one in ten replays; answers the others, looking for an outcome first as a real one does. */
class ChaosWorker {
  readonly runs = new Map<string, number>();
  readonly deaths = new Map<string, number>();
  onAnswered: (id: string) => void = () => {};
  readonly #outcomes: OutcomeStore;
  readonly #jobs: number;
  #replays = 0;

  constructor(outcomes: OutcomeStore, jobs: number) {
    this.#outcomes = outcomes;
    this.#jobs = jobs;
  }

  async take(job: HeldJob): Promise<undefined> {
    const { id } = job;
    const ended = await this.#outcomes.get(id);
    if (ended !== undefined) {
      await (ended.outcome === "dead" ? job.fail(ended.failure) : job.complete({ outcome: ended.outcome }));
      return undefined;
    }
    this.runs.set(id, (this.runs.get(id) ?? 0) + 1);
    const { replay = 0 } = parseJobId(id) ?? {};
    // The second replay of a job always succeeds, so that the run has an end.
    if (replay === 0 || (replay === 1 && this.#replays++ % DIES_AGAIN === 0 && this.#replays <= this.#jobs)) {
      const record = replay === 0 ? id : id.replace(/\.r1$/, "");
      this.deaths.set(record, (this.deaths.get(record) ?? 0) + 1);
      await job.fail(FAILURE);
      return undefined;
    }
    const now = Date.now();
    await this.#outcomes.put({
      outcome: "cancelled",
      id,
      tenant: "acme",
      acceptedAt: now,
      endedAt: now,
      attempts: 1,
    });
    await job.complete({ outcome: "cancelled" });
    this.onAnswered(id);
    return undefined;
  }
}

/** Replays all that is dead, again and again, beside another who does the same. */
async function operate(
  {
    store,
    lane,
    lineage,
    outcomes,
    crashes,
  }: {
    store: DeadLetterStore;
    lane: LaneQueue;
    lineage: Lineage;
    outcomes: OutcomeStore;
    crashes: Crashes;
  },
  by: string,
  signal: AbortSignal,
): Promise<void> {
  const replayer = new Replayer({
    letters: {
      claim: async (id, command) => crashes.around(async () => store.claim(id, command)),
      resolve: async (id) => crashes.around(async () => store.resolve(id)),
      count: async (query) => store.count(query),
    },
    pools: new Map([
      [
        LANE.pool,
        {
          lanes: [LANE.lane],
          deadlineMs: DEADLINE_MS,
          lineage: { mark: async (job) => crashes.around(async () => lineage.mark(job)) },
          outcomes,
          polls: { find: async () => undefined },
          lane: () => ({
            find: async (id) => lane.find(id),
            add: async (job) => crashes.around(async () => lane.add(job)),
          }),
        },
      ],
    ]),
    perLane: 100,
    leaseMs: LEASE_MS,
    waitMs: 50,
    clock: Date.now,
  });
  while (!signal.aborted) {
    const { items } = await store.list({ state: "dead", by: { lane: LANE }, limit: 100 });
    const refs: LetterRef[] = items.map(({ id, jobId, replays }) => ({ id, jobId, ...LANE, replays }));
    await replayer.run(refs, { by, signal, onResult: () => {}, onTrouble: () => {} });
    await sleep(50);
  }
}

async function allLetters(store: DeadLetterStore): Promise<Letter[]> {
  const letters: Letter[] = [];
  let cursor: string | undefined;
  do {
    const from = cursor === undefined ? {} : { cursor };
    const states = ["dead", "replaying", "resolved", "parked"] as const;
    const page = await searchLetters(store, { groups: [{ lane: LANE }], states, limit: 100, ...from });
    letters.push(...page.items);
    ({ cursor } = page);
  } while (cursor !== undefined);
  return letters;
}

function at(cursor: string | undefined): { readonly cursor?: string } {
  return cursor === undefined ? {} : { cursor };
}

function judge(ids: readonly string[], letters: readonly Letter[], { runs, deaths }: ChaosWorker) {
  const byId = new Map(letters.map((letter) => [letter.id, letter]));
  const miscounted = letters.map((letter) => Math.abs(letter.deaths - (deaths.get(letter.id) ?? 0)));
  const replayRuns = [...runs].filter(([id]) => !byId.has(id) && id.includes(".r"));
  return {
    dead: byId.size,
    missing: ids.filter((id) => byId.get(id)?.state !== "resolved").length,
    duplicates: miscounted.reduce((sum, count) => sum + count, 0),
    replays: replayRuns.length,
    doubleReplays: replayRuns.reduce((sum, [, count]) => sum + count - 1, 0),
  };
}

function newData(id: string): JobData {
  const now = Date.now();
  const request = { messages: [{ role: "user", content: [{ text: `Answer ${id}` }] }], maxTokens: 10 };
  return {
    version: 1,
    id,
    tenant: "acme",
    ...LANE,
    kind: "converse",
    payload: { encoding: "json", json: JSON.stringify(request) },
    acceptedAt: now,
    deadlineAt: now + DEADLINE_MS,
    maxAttempts: 3,
  };
}
