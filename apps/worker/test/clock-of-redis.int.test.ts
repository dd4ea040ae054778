/**
 * Redis's own clock is set back, as a fail-over to a machine that is behind does. It takes a real Redis whose clock can be
 * set, and a C compiler for that; without one this is skipped, and `packages/queue/test/clock.int.test.ts` and
 * `packages/results/test/ledger.int.test.ts` look at what such a clock leaves behind.
 */
import { execFile, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, inject, onTestFinished, test, vi } from "vitest";
import { PATIENTLY, startFleet } from "./fleet.ts";

vi.setConfig({ testTimeout: 120_000 });

const OFF = new URL("fixtures/clock-off-worker.ts", import.meta.url);
const SHIM = fileURLToPath(new URL("fixtures/clock-off.c", import.meta.url));

function has(program: string): boolean {
  try {
    execFileSync(program, ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port }: Pick<AddressInfo, "port"> = Object(server.address());
  server.close();
  await once(server, "close");
  return port;
}

/** At once, as a clock is set. */
async function put(file: string, text: string): Promise<void> {
  await writeFile(`${file}.new`, text);
  await rename(`${file}.new`, file);
}

/** A Redis whose clock can be set. */
async function redisOff(): Promise<{ url: string; set: (seconds: number) => Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), "sluice-test-"));
  onTestFinished(async () => rm(folder, { recursive: true, force: true }));
  const [library, clock] = [join(folder, "clock-off.so"), join(folder, "clock")];
  await promisify(execFile)("cc", ["-shared", "-fPIC", "-o", library, SHIM]);
  await put(clock, "0");
  const port = await freePort();
  const settings = ["--port", String(port), "--bind", "127.0.0.1", "--save", ""];
  const server = spawn("redis-server", settings, {
    env: { PATH: process.env["PATH"], LD_PRELOAD: library, TEST_CLOCK_FILE: clock },
    stdio: "ignore",
  });
  onTestFinished(() => void server.kill("SIGKILL"));
  return { url: `redis://127.0.0.1:${port}`, set: async (seconds) => put(clock, String(seconds)) };
}

const canRun = process.platform === "linux" && has("cc") && has("redis-server");

test.skipIf(!canRun)(
  "ten minutes back, with a worker killed: its jobs run again within the minute (needs a C compiler)",
  async () => {
    const redis = await redisOff();
    await using fleet = await startFleet({
      redisUrl: redis.url,
      dynamoDbUrl: inject("dynamoDbUrl"),
      latencyMs: 3_000,
    });
    const machine = join(fleet.folder, "clock");
    await put(machine, "0");
    const env = { TEST_CLOCK_FILE: machine };
    const [killed, left] = [await fleet.startWorker(OFF, env), await fleet.startWorker(OFF, env)];
    const ids = await fleet.submit(Array.from({ length: 12 }, () => ({ deadlineMs: 60_000 })));
    await vi.waitFor(async () => expect((await fleet.counts()).active).toBeGreaterThanOrEqual(8), PATIENTLY);
    killed.kill("SIGKILL");
    // Every clock, or the worker that is left would see them apart and fetch nothing.
    await Promise.all([redis.set(-600), put(machine, "-600000")]);
    await killed.exit;
    await vi.waitFor(async () => expect(await fleet.ends(ids)).toEqual(ids.map(() => "completed")), {
      timeout: 60_000,
      interval: 100,
    });
    const none = { waiting: 0, delayed: 0, active: 0, failed: 0 };
    await vi.waitFor(async () => expect(await fleet.counts()).toEqual(none), PATIENTLY);
    expect(left.running).toBe(true);
  },
);
