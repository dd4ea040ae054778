/** One lane for one test: queue, intakes and failed set on a real Redis, closed with the test. */
import { localTime, newJobId, type Clock, type JobData } from "@sluice/job";
import type { KeySpace } from "@sluice/redis";
import type { Redis } from "ioredis";
import { inject, onTestFinished } from "vitest";
import { testKeySpace, testRedis } from "../../redis/test/redis.ts";
import {
  FailedSet,
  Intake,
  LaneQueue,
  LockKeeper,
  Slots,
  WaitingGrants,
  type HeldJob,
  type Take,
} from "../src/index.ts";
import { laneKeys, type LaneKeys } from "../src/keys.ts";

const POOL = "pool";
const LANE = "standard";

/** For sweepers of lanes whose locks live as long as they like. */
export const LIVES = { lockMs: 60_000, stalledIntervalMs: 60_000 } as const;

export interface IntakeSettings {
  readonly slots?: number;
  readonly inHandMs?: number;
  readonly callMs?: number;
  readonly stalledIntervalMs?: number;
  readonly onUnreadable?: (id: string) => void;
}

/** An intake with locks of its own, as a worker process has. */
export interface TestIntake {
  readonly intake: Intake;
  readonly errors: unknown[];
  readonly lost: HeldJob[];
  /** As if the process stood still: locks are not renewed from now on. */
  readonly pause: () => void;
  /** As if the process had vanished: connections closed, locks not renewed, jobs not ended. */
  readonly vanish: () => Promise<void>;
}

export interface TestLane {
  readonly keySpace: KeySpace;
  readonly pool: string;
  readonly lane: string;
  readonly keys: LaneKeys;
  readonly redis: Redis;
  readonly queue: LaneQueue;
  readonly failed: FailedSet;
  newJob(part?: Partial<JobData>): JobData;
  /** Adds so many new jobs, all at once; their ids. */
  addMany(count: number): Promise<string[]>;
  startIntake(take: Take, settings?: IntakeSettings): Promise<TestIntake>;
}

/** @param clock default: the machine's. */
export function testLane(url: string = inject("redisUrl"), clock: Clock = Date.now): TestLane {
  const names = { keySpace: testKeySpace(), pool: POOL, lane: LANE };
  const redis = testRedis("worker", url);
  const queue = new LaneQueue({
    ...names,
    clock,
    redis: testRedis("producer", url),
    onError: () => {},
  });
  onTestFinished(async () => queue.close());

  const newJob = (part: Partial<JobData> = {}): JobData => ({
    version: 1,
    id: newJobId(POOL, LANE, Date.now()),
    tenant: "acme",
    pool: POOL,
    lane: LANE,
    kind: "converse",
    payload: { encoding: "json", json: '{"messages":[]}' },
    acceptedAt: clock(),
    deadlineAt: clock() + 3_600_000,
    maxAttempts: 3,
    ...part,
  });

  const startIntake = async (take: Take, settings: IntakeSettings = {}): Promise<TestIntake> => {
    const errors: unknown[] = [];
    const lost: HeldJob[] = [];
    const { slots = 1, inHandMs = 5_000, callMs = 5_000, stalledIntervalMs = 5_000 } = settings;
    const { onUnreadable = () => {} } = settings;
    const locks = new LockKeeper({
      times: { inHandMs, callMs },
      onLost: (job) => lost.push(job),
      onError: (error) => errors.push(error),
    });
    locks.start();
    const intake = new Intake({
      ...names,
      redis: testRedis("worker", url),
      ...localTime,
      clock,
      slots: new Slots([LANE], slots),
      locks,
      waiting: new WaitingGrants(),
      take,
      stalledIntervalMs,
      onError: (error) => errors.push(error),
      onUnreadable,
      keepCompleted: { age: 3_600, count: 100_000 },
    });
    const vanish = async (): Promise<void> => {
      locks.stop();
      await intake.close();
    };
    onTestFinished(async () => {
      await intake.stop();
      await vanish();
    });
    await intake.start();
    return { intake, errors, lost, pause: () => locks.stop(), vanish };
  };

  return {
    ...names,
    redis,
    queue,
    keys: laneKeys(names.keySpace, POOL, LANE),
    failed: new FailedSet(redis, names.keySpace, POOL, LANE),
    newJob,
    startIntake,
    async addMany(count) {
      const jobs = Array.from({ length: count }, () => newJob());
      await Promise.all(jobs.map(async (job) => queue.add(job)));
      return jobs.map((job) => job.id);
    },
  };
}

/** Takes every job and completes it at once. */
export const completeAll =
  (taken: string[] = []): Take =>
  async (job) => {
    taken.push(job.id);
    return async () => job.complete({ outcome: "completed" });
  };

/** Resolves with the first job that is taken and leaves it in hand; every later one is handed back. */
export function takeOne(): { take: Take; job: Promise<HeldJob>; release: () => void } {
  const taken = Promise.withResolvers<HeldJob>();
  const released = Promise.withResolvers<undefined>();
  let first = true;
  const take: Take = async (job) => {
    if (!first) {
      await job.defer({ delayMs: 60_000, attempt: false });
      return undefined;
    }
    first = false;
    taken.resolve(job);
    return async () => released.promise;
  };
  onTestFinished(() => released.resolve(undefined));
  return { take, job: taken.promise, release: () => released.resolve(undefined) };
}
