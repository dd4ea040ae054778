/** Deaths and replays while everything that moves them crashes. The full run is `pnpm chaos dead-letters --jobs 1000`. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, inject, onTestFinished, test } from "vitest";
import { runDeadLetters } from "../src/dead-letters/scenario.ts";

const JOBS = 120;
const SEED = 7;

test(
  `${JOBS} jobs die once each and are replayed once each (seed ${SEED})`,
  { timeout: 120_000 },
  async () => {
    const dataDir = await mkdtemp(join(tmpdir(), "sluice-test-"));
    onTestFinished(async () => rm(dataDir, { recursive: true, force: true }));
    const report = await runDeadLetters({
      jobs: JOBS,
      seed: SEED,
      timeoutMs: 100_000,
      dataDir,
      redisUrl: inject("redisUrl"),
      dynamoDbUrl: inject("dynamoDbUrl"),
      onProgress: () => {},
    });
    expect(report).toMatchObject({ dead: JOBS, missing: 0, duplicates: 0, doubleReplays: 0, leftInRedis: 0 });
    expect(report.replays).toBeGreaterThan(JOBS);
    expect(report.crashes).toBeGreaterThan(JOBS);
  },
);
