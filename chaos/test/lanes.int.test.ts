/** A part of `pnpm chaos lanes`: the fleets whose lanes had no order once, within the bound that is written down. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, inject, onTestFinished, test } from "vitest";
import { runLanes } from "../src/lanes/scenario.ts";
import { BULK_MOST, USED_LEAST } from "../src/lanes/shares.ts";

/** Six jobs a second: enough of them in the window for a share to be told from another. */
const SIZE = {
  tokens: 1_500,
  tokensPerMinute: 540_000,
  warmUpMs: 15_000,
  windowMs: 40_000,
  depth: 30,
  inTurn: false,
} as const;

const FLEETS = [1, 2];

test(
  "one worker and two give bulk its share beside a full standard lane and no more, and use the quota",
  { timeout: 120_000 },
  async () => {
    const dataDir = await mkdtemp(join(tmpdir(), "sluice-test-"));
    onTestFinished(async () => rm(dataDir, { recursive: true, force: true }));
    const rows = await runLanes({
      fleets: FLEETS,
      sizes: [SIZE],
      dataDir,
      redisUrl: inject("redisUrl"),
      dynamoDbUrl: inject("dynamoDbUrl"),
      onProgress: () => {},
    });
    expect(new Set(rows.map(({ workers }) => workers))).toEqual(new Set(FLEETS));
    const wrong = rows.filter(
      ({ bulk, leastBulk, used }) => bulk < leastBulk || bulk > BULK_MOST || used < USED_LEAST,
    );
    expect(wrong).toEqual([]);
  },
);
