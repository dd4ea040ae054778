/** A part of `pnpm chaos blameless`: the faults that differ most, shorter, on one worker with few jobs of one kind. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, inject, onTestFinished, test } from "vitest";
import { runBlameless } from "../src/blameless/scenario.ts";

/** Longer than five tries used to last, which is about ten seconds. */
const FAULT_MS = 12_000;

const CASES = ["throttle-mid-stream", "unavailable", "silent", "expired", "refused", "no-credentials"];

test(
  "one job and ten outlive every outage on one worker, are soon answered again, and none is paid twice",
  { timeout: 240_000 },
  async () => {
    const dataDir = await mkdtemp(join(tmpdir(), "sluice-test-"));
    onTestFinished(async () => rm(dataDir, { recursive: true, force: true }));
    const { sums, rows, failures } = await runBlameless({
      seed: 7,
      cases: CASES,
      sizes: [1, 10],
      fleets: [1],
      faultMs: FAULT_MS,
      staggerMs: 500,
      dataDir,
      redisUrl: inject("redisUrl"),
      dynamoDbUrl: inject("dynamoDbUrl"),
      onProgress: () => {},
    });
    const wrong = rows.filter(
      ({ dead, lost, paidTwice, otherwise, late, vacuous }) =>
        dead + lost + paidTwice + otherwise > 0 || late || vacuous,
    );
    expect({ wrong, failures }).toEqual({ wrong: [], failures: [] });
    expect(sums).toEqual({ jobs: CASES.length * 11, dead: 0, lost: 0, paidTwice: 0, otherwise: 0 });
  },
);
