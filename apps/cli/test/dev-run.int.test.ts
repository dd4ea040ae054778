/** `sluice dev` from start to end, as `pnpm demo` and CI run it. */
import { expect, test } from "vitest";
import { z } from "zod";
import { nothingIsLeft, sluice, watchToTheEnd, type Running } from "./processes.ts";

const whole = z.int().nonnegative();
const lane = z.strictObject({ jobs: whole, waitMsP50: whole, waitMsP99: whole });
const reportSchema = z.strictObject({
  jobs: whole,
  completed: whole,
  filtered: whole,
  dead: whole,
  lost: whole,
  throttled: whole,
  calls: whole,
  quotaUtilisation: z.number().nonnegative().max(1).nullable(),
  durationMs: whole,
  lanes: z.strictObject({ critical: lane, standard: lane, bulk: lane }),
});

/** The last line that it printed. */
function reportOf({ stdout }: Running) {
  return reportSchema.parse(JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? ""));
}

test("20 jobs: the last line is the report, every job is accounted for, no process is left", async () => {
  const run = sluice(["dev", "--jobs", "20", "--exit", "--json"]);
  const pids = await watchToTheEnd(run);
  expect(await run.ended).toEqual({ code: 0, signal: null });

  const report = reportOf(run);
  expect(report).toMatchObject({ jobs: 20, dead: 1, filtered: 0, completed: 19, lost: 0, throttled: 0 });
  expect(report.calls).toBe(20);
  expect(report.quotaUtilisation).toBeGreaterThan(0.8);
  expect(report.lanes).toMatchObject({ critical: { jobs: 3 }, standard: { jobs: 9 }, bulk: { jobs: 8 } });
  expect(report.lanes.critical.waitMsP50).toBeLessThan(report.lanes.bulk.waitMsP50);
  expect(run.stdout).toContain("20 jobs in ");
  // Addresses of programs that have ended help nobody.
  expect(run.stdout).not.toContain("http://");
  expect(run.stderr).toContain("in a terminal and without --exit it goes on running");
  expect(run.stderr).toMatch(/done critical \d\/3, standard \d\/9, bulk \d\/8/);

  expect(pids.length).toBeGreaterThanOrEqual(8);
  await nothingIsLeft(pids);
}, 120_000);

test("a few jobs, all accepted while it takes its first look at the lanes, are waited for too", async () => {
  const run = sluice(["dev", "--jobs", "2", "--workers", "1", "--exit", "--json"]);
  const pids = await watchToTheEnd(run);
  expect(reportOf(run)).toMatchObject({ jobs: 2, completed: 2, lost: 0, calls: 2 });
  expect(await run.ended).toEqual({ code: 0, signal: null });
  await nothingIsLeft(pids);
}, 120_000);
