/** Processes seen from the outside. */
import { execFileSync } from "node:child_process";

/** @returns whether a process with this id runs. One that has ended and was not yet collected does not. */
export function isAlive(pid: number): boolean {
  const state = ps("stat", pid);
  return state !== "" && !state.startsWith("Z");
}

/** @returns the id of a process's parent. */
export function parentOf(pid: number): number {
  return Number(ps("ppid", pid));
}

function ps(field: string, pid: number): string {
  try {
    return execFileSync("ps", ["-o", `${field}=`, "-p", String(pid)], { encoding: "utf8" }).trim();
  } catch {
    // ps fails when there is no such process.
    return "";
  }
}
