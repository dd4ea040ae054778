/** A part of `pnpm chaos lanes`: one worker, whose lanes had no order once. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, inject, onTestFinished, test } from "vitest";
import { runLanes } from "../src/lanes/scenario.ts";
import { BULK_MOST } from "../src/lanes/shares.ts";

/** Four jobs a second: enough of them in half a minute for a share to be told from another. */
const SIZE = {
  tokens: 1_500,
  tokensPerMinute: 360_000,
  warmUpMs: 12_000,
  windowMs: 30_000,
  depth: 20,
  inTurn: false,
} as const;

test(
  "one worker gives bulk its share beside a full standard lane, and no more",
  { timeout: 90_000 },
  async () => {
    const dataDir = await mkdtemp(join(tmpdir(), "sluice-test-"));
    onTestFinished(async () => rm(dataDir, { recursive: true, force: true }));
    const [row] = await runLanes({
      fleets: [1],
      sizes: [SIZE],
      dataDir,
      redisUrl: inject("redisUrl"),
      dynamoDbUrl: inject("dynamoDbUrl"),
      onProgress: () => {},
    });
    // One job more or less is most of a percent here.
    const job = SIZE.tokens / (SIZE.tokensPerMinute / 2);
    expect(row?.bulk).toBeGreaterThanOrEqual(row?.leastBulk ?? 1);
    expect(row?.bulk).toBeLessThanOrEqual(BULK_MOST + job);
    expect(row?.used).toBeGreaterThan(0.9);
  },
);
