/** An installation with one pool, two workers at most and a simulator of its own, for tests that kill things. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { newJobId } from "@sluice/job";
import { encodePayload } from "@sluice/job/payload";
import { startSimulator } from "@sluice/services";
import { expect, inject, vi } from "vitest";
import { check, readCalls, startInstallation, type Expected, type SeenCall } from "../src/index.ts";

export const POOL = "lab";
const LANE = "standard";
const MODEL = "lab.model";
const CALL_TIMEOUT_MS = 10_000;

/** For `vi.waitFor`: short steps, and long enough for a busy machine. */
export const PATIENTLY = { timeout: 45_000, interval: 50 } as const;

/** What is settled when a job ends is on its way by then. Far less than a reservation lives. */
const SOON = { timeout: 5_000, interval: 50 } as const;

export interface LabOptions {
  /** Default: the one that all tests share. */
  readonly redisUrl?: string;
  /** How long each call takes, milliseconds. */
  readonly latencyMs: number;
}

export type Lab = Awaited<ReturnType<typeof startLab>>;

export async function startLab({ redisUrl = inject("redisUrl"), latencyMs }: LabOptions) {
  const folder = await mkdtemp(join(tmpdir(), "sluice-chaos-"));
  const latency = { timeToFirstTokenMs: latencyMs, tokensPerSecond: 100_000, sigma: 0 };
  const simulator = await startSimulator({
    dataDir: folder,
    models: { [MODEL]: { tokensPerMinute: 1e9, burndown: 1, latency, answer: { medianTokens: 20 } } },
  });
  const quota = { tokensPerMinute: 100_000_000 };
  const timeouts = { callTimeout: `${CALL_TIMEOUT_MS / 1_000}s`, deadline: "5m" };
  const pool = { scope: "main", model: MODEL, lanes: [LANE], burndown: 1, slots: 4, quota, ...timeouts };
  const installation = await startInstallation({
    pools: { scopes: { main: { region: "us-east-1" } }, pools: { [POOL]: pool } },
    redisUrl,
    dynamoDbUrl: inject("dynamoDbUrl"),
    simulatorUrl: simulator.url,
    folder,
  });
  const { records } = installation;

  const callsOf = async (id: string): Promise<readonly SeenCall[]> =>
    (await readCalls(simulator.url)).get(id) ?? [];

  return {
    installation,
    simulatorUrl: simulator.url,
    callsOf,
    /** Adds jobs as an API would. Resolves to their ids. */
    async submit(count: number): Promise<string[]> {
      const lane = records.lane(POOL, LANE);
      return Promise.all(
        Array.from({ length: count }, async (_, index) => {
          const now = Date.now();
          const id = newJobId(POOL, LANE, now);
          const messages = [{ role: "user", content: [{ text: `Job ${index}: ${id}` }] }];
          const payload = await encodePayload({ messages, maxTokens: 50 });
          const job = { version: 1, tenant: "default", pool: POOL, lane: LANE, kind: "converse" } as const;
          const times = { acceptedAt: now, deadlineAt: now + 300_000, maxAttempts: 5 };
          await lane.add({ ...job, ...times, id, payload });
          return id;
        }),
      );
    },
    /** Waits until all have ended and left their lane. */
    async untilEnded(ids: readonly string[]): Promise<void> {
      await vi.waitFor(async () => {
        expect(await records.countEnded(ids)).toBe(ids.length);
        expect(await records.counts()).toEqual({ waiting: 0, delayed: 0, active: 0, failed: 0 });
      }, PATIENTLY);
    },
    /** What both accounts, held against each other, have to say against jobs that should be completed. */
    async problems(ids: readonly string[], expected: Expected): Promise<readonly string[]> {
      const [found, calls] = await Promise.all([records.findAll(ids), readCalls(simulator.url)]);
      const jobs = found.map((where, index) => {
        const id = ids[index] ?? "";
        const end = "completed" as const;
        return { id, found: where, calls: calls.get(id) ?? [], expected: { end, ...expected } };
      });
      return check(jobs, 0).problems;
    },
    /** Reservations in the limiter: of calls in flight, and of workers that died. */
    async reservations(): Promise<number> {
      return (await installation.limiter(POOL).inspect(POOL)).reservations;
    },
    /** What crashes left in the limiter is settled with their jobs: nothing waits until it is dropped, a minute later. */
    async expectNoLeaks(): Promise<void> {
      await vi.waitFor(
        async () => expect((await installation.limiter(POOL).inspect(POOL)).reservations).toBe(0),
        SOON,
      );
    },
    async [Symbol.asyncDispose]() {
      await installation[Symbol.asyncDispose]();
      await simulator.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
