/**
 * One folder per run, never used twice: `<dataDir>/runs/<host>.<pid>.<random>`. Its name says whose it is, so
 * that the next start can remove what a crashed run left. A folder shared between machines or containers may
 * hold runs of others; those are left alone.
 *
 * Prompts and answers are in there, in Redis's files and in logs: nobody but their user may look into it.
 */
import { randomBytes } from "node:crypto";
import { chmod, mkdir, readdir, rm } from "node:fs/promises";
import { hostname } from "node:os";
import { join, resolve } from "node:path";

/** Folders that only their user may enter. */
const OURS_ALONE = 0o700;

/** Makes a fresh folder for this process and removes those whose process is gone. @returns its absolute path. */
export async function makeRunFolder(dataDir: string): Promise<string> {
  const runs = resolve(dataDir, "runs");
  await mkdir(runs, { recursive: true, mode: OURS_ALONE });
  // One of an earlier version may have been open to all.
  await chmod(runs, OURS_ALONE);
  const host = hostname().replaceAll(/[^\w-]/g, "-");
  for (const name of await readdir(runs)) {
    const [owner, pid] = name.split(".");
    if (owner === host && !isAlive(Number(pid))) await rm(join(runs, name), { recursive: true, force: true });
  }
  const folder = join(runs, `${host}.${String(process.pid)}.${randomBytes(4).toString("hex")}`);
  await mkdir(folder, { mode: OURS_ALONE });
  return folder;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: alive, and somebody else's.
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}
