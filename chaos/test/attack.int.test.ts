/** A part of `pnpm chaos attack`: the quick cases, on real processes. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, inject, onTestFinished, test } from "vitest";
import { CASES } from "../src/attack/cases.ts";
import { runAttacks } from "../src/attack/attack.ts";

const QUICK = ["framing", "bodies", "keys", "proxy-headers", "outputs", "logs"];

test("what listens holds against the quick attacks", { timeout: 90_000 }, async () => {
  const dataDir = await mkdtemp(join(tmpdir(), "sluice-test-"));
  onTestFinished(async () => rm(dataDir, { recursive: true, force: true }));
  const tried = await runAttacks({
    cases: CASES.filter(({ name }) => QUICK.includes(name)),
    dataDir,
    dynamoDbUrl: inject("dynamoDbUrl"),
    onProgress: () => {},
  });
  expect(tried.length).toBeGreaterThan(80);
  expect(tried.filter(({ found }) => found !== undefined)).toEqual([]);
});

test("every attack has a name of its own and a sentence", () => {
  const names = CASES.flatMap(({ name, trials }) => trials.map((trial) => `${name}/${trial.name}`));
  expect(new Set(names).size).toBe(names.length);
  for (const { holds } of CASES.flatMap(({ trials }) => trials)) expect(holds).toMatch(/^\S.{20,}/);
});
