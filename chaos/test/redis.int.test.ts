/** A part of `pnpm chaos redis`: a trial of each kind, on real processes. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, inject, onTestFinished, test } from "vitest";
import { CASES } from "../src/redis/cases.ts";
import { runRedisTrials } from "../src/redis/command.ts";

const QUICK = ["filled by a foreign key", "the name follows later", "the append-only file"];

test("Redis full, failing over and without a disk: the quick trials hold", { timeout: 240_000 }, async () => {
  const dataDir = await mkdtemp(join(tmpdir(), "sluice-test-"));
  onTestFinished(async () => rm(dataDir, { recursive: true, force: true }));
  const cases = CASES.map(({ name, trials }) => ({
    name,
    trials: trials.filter((trial) => QUICK.includes(trial.name)),
    beside: true,
  }));
  const tried = await runRedisTrials({
    cases,
    dataDir,
    dynamoDbUrl: inject("dynamoDbUrl"),
    onProgress: () => {},
  });
  expect(tried).toHaveLength(QUICK.length);
  expect(tried.filter(({ found }) => found !== undefined)).toEqual([]);
});

test("every trial has a name of its own and a sentence", () => {
  const names = CASES.flatMap(({ name, trials }) => trials.map((trial) => `${name}/${trial.name}`));
  expect(new Set(names).size).toBe(names.length);
  for (const { holds } of CASES.flatMap(({ trials }) => trials)) expect(holds).toMatch(/^\S.{20,}/);
});
