/** A part of `pnpm chaos fleets`: the quick trials, on real processes. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, inject, onTestFinished, test } from "vitest";
import { fleetsCases } from "../src/fleets/cases.ts";
import { runFleets } from "../src/fleets/command.ts";

/** libfaketime is for the whole scenario: here a clock is that of Node alone, on every machine. */
const CLOCKS = { by: "Date" } as const;

const QUICK = [
  "clocks/a second off",
  "newer/an idempotency key",
  "files/a lane with jobs that a worker finds at its start",
  "files/a lane that one of two workers has",
  "unreadable/40 of 140 prioritised jobs",
];

test("a fleet holds through the quick trials", { timeout: 150_000 }, async () => {
  const dataDir = await mkdtemp(join(tmpdir(), "sluice-test-"));
  onTestFinished(async () => rm(dataDir, { recursive: true, force: true }));
  const cases = fleetsCases(CLOCKS).map(({ name, trials }) => ({
    name,
    trials: trials.filter((trial) => QUICK.some((quick) => `${name}/${trial.name}`.startsWith(quick))),
  }));
  const tried = await runFleets({
    cases: cases.filter(({ trials }) => trials.length > 0),
    clocks: CLOCKS,
    dataDir,
    redisUrl: inject("redisUrl"),
    dynamoDbUrl: inject("dynamoDbUrl"),
    onProgress: () => {},
  });
  expect(tried).toHaveLength(QUICK.length);
  expect(tried.filter(({ found }) => found !== undefined)).toEqual([]);
});

test("every trial has a name of its own and a sentence", () => {
  const cases = fleetsCases(CLOCKS);
  const names = cases.flatMap(({ name, trials }) => trials.map((trial) => `${name}/${trial.name}`));
  expect(new Set(names).size).toBe(names.length);
  for (const { holds } of cases.flatMap(({ trials }) => trials)) expect(holds).toMatch(/^\S.{20,}/);
});
