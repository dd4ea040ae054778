/** Every way `sluice dev` can end before its time. No process of its outlives it. */
import { afterEach, describe, expect, test, vi } from "vitest";
import { alive, nothingIsLeft, sluice, wholeSystem, type Running } from "./processes.ts";

vi.setConfig({ testTimeout: 90_000 });

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

describe("in the middle of its jobs", () => {
  test("Ctrl-C ends it in order, within seconds", async () => {
    run = sluice(["dev", "--jobs", "20"]);
    const pids = await underWay();
    const askedAt = performance.now();
    run.interrupt();
    const { code } = await run.ended;
    expect({ code, stderr: run.stderr.split("\n").slice(-3) }).toEqual({
      code: 130,
      stderr: [expect.any(String), "Stopping", ""],
    });
    expect(performance.now() - askedAt).toBeLessThan(20_000);
    await nothingIsLeft(pids);
  });

  test.each(["SIGINT", "SIGTERM"] as const)("%s to it alone does the same", async (signal) => {
    run = sluice(["dev", "--jobs", "20"]);
    const pids = await underWay();
    run.signal(signal);
    expect(await run.ended).toEqual({ code: 130, signal: null });
    expect(run.stderr).not.toContain("ended by itself");
    await nothingIsLeft(pids);
  });

  test("SIGKILL leaves nothing either", async () => {
    run = sluice(["dev", "--jobs", "20"]);
    const pids = await underWay();
    run.signal("SIGKILL");
    expect(await run.ended).toEqual({ code: null, signal: "SIGKILL" });
    await nothingIsLeft(pids);
  });
});

describe("while it starts", () => {
  test("Ctrl-C ends it", async () => {
    run = sluice(["dev", "--jobs", "20"]);
    const pids = await wholeSystem(run);
    run.interrupt();
    const { code } = await run.ended;
    expect(code).not.toBe(0);
    await nothingIsLeft(pids);
  });

  test("SIGKILL leaves nothing, not even programs that are not ready yet", async () => {
    run = sluice(["dev", "--jobs", "20"]);
    const pids = await wholeSystem(run);
    run.signal("SIGKILL");
    await run.ended;
    await nothingIsLeft(pids);
  });
});

describe("a REDIS_URL that is not on this machine", () => {
  // An address that is reserved for documentation: nobody has it.
  const elsewhere = { REDIS_URL: "redis://192.0.2.1:6379" };

  test("is left alone, and said so", async () => {
    run = sluice(["dev", "--exit"], elsewhere);
    const pids = await wholeSystem(run);
    expect(await run.ended).toEqual({ code: 0, signal: null });
    expect(run.stderr).toContain(
      "REDIS_URL names 192.0.2.1, which is not this machine: starting a Redis of our own. --redis takes it",
    );
    await nothingIsLeft(pids);
  });

  test("is taken with --redis", async () => {
    run = sluice(["dev", "--exit", "--redis"], elsewhere);
    expect(await run.ended).toEqual({ code: 1, signal: null });
    expect(run.stderr).toContain("sluice: Expected a Redis at redis://192.0.2.1:6379 to answer PING");
    await nothingIsLeft(run.look());
  });
});

test.each([
  [["dev", "--jobs", "many"], "Expected a whole number of at least 0, got 'many'"],
  [["dev", "--workers", "0"], "Expected a whole number of at least 1, got '0'"],
  [["drain"], "unknown command 'drain'"],
])("sluice %s says what is wrong", async (args, sentence) => {
  run = sluice(args);
  expect(await run.ended).toEqual({ code: 1, signal: null });
  expect(run.stderr).toContain(sentence);
});
