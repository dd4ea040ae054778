/** Every way a run of `sluice dev` can end before its time. No process of its outlives it. */
import { afterEach, expect, test, vi } from "vitest";
import { alive, nothingIsLeft, sluice, wholeSystem, type Running } from "./processes.ts";

vi.setConfig({ testTimeout: 90_000 });

/** What Ctrl-C does is said at once. */
const STOPPING = "Stopping: calls in flight get a few seconds; Ctrl-C again ends it at once";

let run: Running;

afterEach(async () => {
  // What a failed test has left.
  const left = alive([run.pid, ...run.look()]);
  for (const pid of left) process.kill(pid, "SIGKILL");
});

/** Waits until jobs are being done. */
async function underWay(): Promise<readonly number[]> {
  const pids = await wholeSystem(run);
  await vi.waitFor(() => expect(run.stderr).toMatch(/done critical/), { timeout: 40_000, interval: 50 });
  return pids;
}

test("Ctrl-C ends it in order, within seconds", async () => {
  run = sluice(["dev", "--jobs", "20"]);
  const pids = await underWay();
  const askedAt = performance.now();
  run.interrupt();
  expect(await run.ended).toEqual({ code: 130, signal: null });
  expect(run.stderr.trimEnd().split("\n").at(-1)).toBe(STOPPING);
  expect(performance.now() - askedAt).toBeLessThan(15_000);
  await nothingIsLeft(pids);
});

test("SIGTERM to it alone does the same", async () => {
  run = sluice(["dev", "--jobs", "20"]);
  const pids = await underWay();
  run.signal("SIGTERM");
  expect(await run.ended).toEqual({ code: 130, signal: null });
  expect(run.stderr.trimEnd().split("\n").at(-1)).toBe(STOPPING);
  await nothingIsLeft(pids);
});

test("SIGKILL leaves nothing either", async () => {
  run = sluice(["dev", "--jobs", "20"]);
  const pids = await underWay();
  run.signal("SIGKILL");
  expect(await run.ended).toEqual({ code: null, signal: "SIGKILL" });
  await nothingIsLeft(pids);
});
