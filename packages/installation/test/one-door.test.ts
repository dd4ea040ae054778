/** What an installation has is opened in this package alone: a second place would open it with other names or times. */
import { readFile } from "node:fs/promises";
import { globSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const ROOT = join(import.meta.dirname, "../../..");

/** Queues, limiters and stores, each with the package that has it. */
const OPENED: Readonly<Record<string, RegExp>> = {
  queue: /\bnew LaneQueue\(/,
  limits: /\bcreate(?:RedisLimiter|QuotaLog|Operations)\(/,
  results:
    /\bnew (?:OutcomeStore|ClaimStore|Lineage|CancelFlags|CallLedger|ChunkStream|ChunkReader|ResponseCache|UsageStore)\(/,
  "dead-letter": /\bcreateDynamoDbStore\(/,
  redis: /(?<!get )\bkeySpace\(/,
};

const sources = globSync("{apps,packages}/*/src/**/*.ts", { cwd: ROOT });

test("there are sources to look at", () => {
  expect(sources.length).toBeGreaterThan(400);
});

test.each(Object.entries(OPENED))("what %s has is opened in `installation` alone", async (owner, opens) => {
  const found: string[] = [];
  for (const path of sources) {
    if (path.startsWith(`packages/${owner}/`) || path.startsWith("packages/installation/")) continue;
    if (opens.test(await readFile(join(ROOT, path), "utf8"))) found.push(path);
  }
  expect(found).toEqual([]);
});
