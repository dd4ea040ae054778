/** The `sluice` command as a real process, and every process that comes of it. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { expect, vi } from "vitest";

const MAIN = fileURLToPath(new URL("../src/main.ts", import.meta.url));

export interface Running {
  readonly pid: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Resolves when it has ended and everything it said was read. */
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  /** Its children and theirs, as far as they were seen: look while it runs. */
  look(): readonly number[];
  signal(name: NodeJS.Signals): void;
  /** Ctrl-C: a terminal signals everything that runs in the foreground. */
  interrupt(): void;
}

export function sluice(args: readonly string[], env: Readonly<Record<string, string>> = {}): Running {
  const { REDIS_URL: _, ...rest } = process.env;
  const child = spawn(process.execPath, ["--conditions=@sluice/source", MAIN, ...args], {
    env: { ...rest, ...env },
    stdio: ["ignore", "pipe", "pipe"],
    // A process group of its own, as a terminal gives to what it runs.
    detached: true,
  });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const pid = child.pid ?? Number.NaN;
  const seen = new Set<number>();
  return {
    pid,
    get stdout() {
      return stdout;
    },
    get stderr() {
      return stderr;
    },
    ended: once(child, "close").then(() => ({ code: child.exitCode, signal: child.signalCode })),
    look() {
      for (const found of descendants(pid)) seen.add(found);
      return [...seen];
    },
    signal(name) {
      child.kill(name);
    },
    interrupt() {
      process.kill(-pid, "SIGINT");
    },
  };
}

/** Redis and its guard, DynamoDB, the simulator, API, board and two workers. */
const WHOLE_SYSTEM = 8;

/** Waits until every process of the system was started, and resolves to their ids. */
export async function wholeSystem(running: Running): Promise<readonly number[]> {
  return vi.waitFor(
    () => {
      const pids = running.look();
      expect(pids.length).toBeGreaterThanOrEqual(WHOLE_SYSTEM);
      return pids;
    },
    { timeout: 40_000, interval: 50 },
  );
}

/** Waits for its end, and resolves to the ids of all that it started meanwhile. */
export async function watchToTheEnd(running: Running): Promise<readonly number[]> {
  const looking = setInterval(() => running.look(), 100);
  await running.ended.finally(() => clearInterval(looking));
  return running.look();
}

/** They are not our children, so there is no event to wait for. */
export async function nothingIsLeft(pids: readonly number[]): Promise<void> {
  await vi.waitFor(() => expect(alive(pids)).toEqual([]), { timeout: 40_000, interval: 200 });
}

/** Those that run. One that has ended and was not yet collected does not. */
export function alive(pids: readonly number[]): number[] {
  const running = new Set(list().map(({ pid }) => pid));
  return pids.filter((pid) => running.has(pid));
}

function descendants(of: number): number[] {
  const all = list();
  const found = [of];
  for (const ancestor of found) {
    found.push(...all.filter(({ parent }) => parent === ancestor).map(({ pid }) => pid));
  }
  return found.slice(1);
}

function list(): { pid: number; parent: number }[] {
  const rows = execFileSync("ps", ["-A", "-o", "pid=,ppid=,stat="], { encoding: "utf8" }).trim().split("\n");
  return rows
    .map((row) => row.trim().split(/\s+/))
    .filter(([, , state = ""]) => !state.startsWith("Z"))
    .map(([pid, parent]) => ({ pid: Number(pid), parent: Number(parent) }));
}
