/** kill -9 of one of two workers in the middle of a run: every job still ends. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { Evidence, jobOf } from "../src/dev/evidence.ts";
import { Lanes } from "../src/dev/lanes.ts";
import { countStates, submitAll } from "../src/dev/submit.ts";
import { startSystem } from "../src/dev/system.ts";

const POOL = "claude";
const MODEL = "us.anthropic.claude-sonnet-4-6-v1:0";
const LANES = ["critical", "standard", "bulk"];
const JOBS = 60;
const SLOTS = 12;

test("loses no job, and calls again only for those it had in flight", async () => {
  const dataDir = await mkdtemp(join(tmpdir(), "sluice-test-"));
  const system = await startSystem({
    dataDir,
    redisUrl: undefined,
    workers: 2,
    pool: POOL,
    model: MODEL,
    lanes: LANES,
    tokensPerMinute: 1_000_000,
    burndown: 5,
    slots: SLOTS,
    onProgress: () => {},
  });
  const lanes = new Lanes(system, POOL, LANES);
  const evidence = new Evidence(system.simulatorUrl);
  try {
    const ids = await submitAll(
      system.apiUrl,
      Array.from({ length: JOBS }, (_, index) => ({
        pool: POOL,
        lane: LANES[index % LANES.length] ?? "",
        prompt: `Say ${index}`,
        maxTokens: 30,
      })),
    );
    await vi.waitFor(
      async () => {
        await evidence.refresh();
        expect(evidence.calls.length).toBeGreaterThan(JOBS / 6);
      },
      { timeout: 20_000, interval: 20 },
    );
    const [victim, survivor] = system.workers;
    process.kill(victim?.pid ?? Number.NaN, "SIGKILL");
    await victim?.ended;
    const left = await lanes.read();
    expect(left.reduce((sum, { waiting, active }) => sum + waiting + active, 0)).toBeGreaterThan(0);

    await vi.waitFor(async () => expect(await countStates(system.apiUrl, ids)).toEqual({ completed: JOBS }), {
      timeout: 60_000,
      interval: 200,
    });
    expect(survivor?.running).toBe(true);
    await vi.waitFor(
      async () =>
        expect(await lanes.read()).toEqual(LANES.map((lane) => ({ lane, waiting: 0, active: 0, failed: 0 }))),
      { timeout: 10_000, interval: 50 },
    );

    await evidence.refresh();
    expect(new Set(evidence.calls.map(jobOf))).toEqual(new Set(ids));
    expect(evidence.calls.length - JOBS).toBeLessThanOrEqual(SLOTS / 2);
  } finally {
    await lanes.close();
    await system.stop();
    await rm(dataDir, { recursive: true, force: true });
  }
}, 120_000);
