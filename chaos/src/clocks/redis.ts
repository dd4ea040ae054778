/**
 * A Redis whose own clock can be set, as a fail-over to a machine whose clock is off sets it. It takes a real Redis and a C
 * compiler: libfaketime breaks on programs that bring jemalloc, as Redis does.
 */
import { execFile, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { freePort } from "@sluice/services";
import { put } from "./machine.ts";

const SHIM = fileURLToPath(new URL("clock-off.c", import.meta.url));

/** Whether this machine has what it takes. */
export function canSetClockOfRedis(): boolean {
  return process.platform === "linux" && has("cc") && has("redis-server");
}

function has(program: string): boolean {
  try {
    execFileSync(program, ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

export interface ClockedRedis extends AsyncDisposable {
  readonly url: string;
  /** Sets its clock, whole seconds ahead of this machine's; less than 0 is behind. */
  set(aheadS: number): Promise<void>;
}

/** @param folder where its clock is kept. Nothing else of it reaches the disk. */
export async function startClockedRedis(folder: string): Promise<ClockedRedis> {
  const [library, clock] = [join(folder, "clock-off.so"), join(folder, "clock-of-redis")];
  await promisify(execFile)("cc", ["-shared", "-fPIC", "-o", library, SHIM]);
  await put(clock, "0");
  const port = await freePort();
  const settings = ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder];
  const server = spawn("redis-server", settings, {
    env: { PATH: process.env["PATH"], LD_PRELOAD: library, TEST_CLOCK_FILE: clock },
    stdio: "ignore",
  });
  const ended = once(server, "exit");
  return {
    url: `redis://127.0.0.1:${port}`,
    set: async (seconds) => put(clock, String(seconds)),
    async [Symbol.asyncDispose]() {
      server.kill("SIGKILL");
      await ended;
    },
  };
}
