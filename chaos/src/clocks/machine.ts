/**
 * A machine's clock that is wrong, and can be set while a program runs: by libfaketime where it is installed, which moves
 * what every part of the program reads, else by Node's `Date` alone. The monotonic clock is left as it is, since no machine's
 * monotonic clock steps.
 */
import { existsSync } from "node:fs";
import { rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** By what a program is made to see another time. */
export type ClockWay = { readonly by: "libfaketime"; readonly library: string } | { readonly by: "Date" };

/** Where Debian, Alpine and Fedora put it. The one for programs with threads. */
const LIBRARIES = [
  "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
  "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
  "/usr/lib/faketime/libfaketimeMT.so.1",
  "/usr/lib64/faketime/libfaketimeMT.so.1",
];

/** What this machine has. */
export function findClockWay(): ClockWay {
  const library = LIBRARIES.find((path) => existsSync(path));
  return library === undefined ? { by: "Date" } : { by: "libfaketime", library };
}

export interface MachineClock {
  /** For the environment of the programs that run on that machine. */
  readonly env: Readonly<Record<string, string>>;
  /**
   * Sets the clock, milliseconds ahead of this machine's; less than 0 is behind. By libfaketime it shows within a second:
   * the file is not read at every look at the clock.
   */
  set(aheadMs: number): Promise<void>;
}

/** @param folder where the clock is kept. One folder is one machine. */
export async function startMachine(folder: string, way: ClockWay, aheadMs: number): Promise<MachineClock> {
  const file = join(folder, "clock");
  const set = async (ms: number): Promise<void> => put(file, way.by === "Date" ? String(ms) : offset(ms));
  await set(aheadMs);
  return { env: envOf(way, file), set };
}

function envOf(way: ClockWay, file: string): Readonly<Record<string, string>> {
  if (way.by === "Date") {
    return {
      NODE_OPTIONS: `--import=${new URL("clock-off.ts", import.meta.url).href}`,
      TEST_CLOCK_FILE: file,
    };
  }
  return {
    LD_PRELOAD: way.library,
    FAKETIME_TIMESTAMP_FILE: file,
    FAKETIME_CACHE_DURATION: "1",
    FAKETIME_DONT_FAKE_MONOTONIC: "1",
    NO_FAKE_STAT: "1",
  };
}

/** As libfaketime spells it, in seconds. */
const offset = (ms: number): string => `${ms < 0 ? "-" : "+"}${(Math.abs(ms) / 1_000).toFixed(3)}`;

/** At once, as a clock is set: whoever reads the file sees the one time or the other. */
export async function put(file: string, text: string): Promise<void> {
  await writeFile(`${file}.new`, text);
  await rename(`${file}.new`, file);
}

/** Removes what libfaketime leaves in shared memory of a program that was killed. */
export async function forgetMachineOf(pid: number): Promise<void> {
  for (const name of [`faketime_shm_${pid}`, `sem.faketime_sem_${pid}`]) {
    await rm(join("/dev/shm", name), { force: true });
  }
}
