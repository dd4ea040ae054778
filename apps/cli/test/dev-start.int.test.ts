/** `sluice dev` before its jobs: asked to end, killed, or given what it cannot use. */
import { afterEach, describe, expect, test, vi } from "vitest";
import { alive, nothingIsLeft, sluice, watchToTheEnd, wholeSystem, type Running } from "./processes.ts";

vi.setConfig({ testTimeout: 90_000 });

let run: Running;

afterEach(async () => {
  // What a failed test has left.
  const left = alive([run.pid, ...run.look()]);
  for (const pid of left) process.kill(pid, "SIGKILL");
});

describe("while it starts", () => {
  test("Ctrl-C ends it", async () => {
    run = sluice(["dev", "--jobs", "20"]);
    const pids = await wholeSystem(run);
    run.interrupt();
    expect(await run.ended).toEqual({ code: 130, signal: null });
    await nothingIsLeft(pids);
  });

  test("Ctrl-C says so at once, and nothing further is begun", async () => {
    run = sluice(["dev", "--jobs", "20"]);
    await vi.waitFor(() => expect(run.stderr).toContain("Starting Redis"), { timeout: 40_000, interval: 5 });
    run.interrupt();
    expect(await run.ended).toEqual({ code: 130, signal: null });
    expect(run.stderr.trimEnd().split("\n").at(-1)).toBe(
      "Stopping as soon as what is being started can be stopped; Ctrl-C again ends it at once",
    );
    await nothingIsLeft(run.look());
  });

  test("Ctrl-C that a program of its gets too ends it as well", async () => {
    run = sluice(["dev", "--jobs", "20"]);
    const pids = await wholeSystem(run);
    run.interrupt();
    // The last one started, which is not ready yet.
    process.kill(Math.max(...pids), "SIGINT");
    expect(await run.ended).toEqual({ code: 130, signal: null });
    await nothingIsLeft(pids);
  });

  test("SIGKILL leaves nothing, not even programs that are not ready yet", async () => {
    run = sluice(["dev", "--jobs", "20"]);
    const pids = await wholeSystem(run);
    run.signal("SIGKILL");
    expect(await run.ended).toEqual({ code: null, signal: "SIGKILL" });
    await nothingIsLeft(pids);
  });
});

describe("a REDIS_URL that is not on this machine", () => {
  // An address that is reserved for documentation: nobody has it.
  const elsewhere = { REDIS_URL: "redis://192.0.2.1:6379" };

  test("is left alone, and said so", async () => {
    run = sluice(["dev", "--exit"], elsewhere);
    const pids = await watchToTheEnd(run);
    expect(await run.ended).toEqual({ code: 0, signal: null });
    expect(run.stderr).toContain(
      "REDIS_URL names 192.0.2.1, which is not this machine: starting a Redis of our own. --redis takes it",
    );
    await nothingIsLeft(pids);
  });

  test("is taken with --redis", async () => {
    run = sluice(["dev", "--exit", "--redis"], elsewhere);
    expect(await run.ended).toEqual({ code: 1, signal: null });
    expect(run.stderr).toContain("sluice: Redis at REDIS_URL does not answer: ");
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
