/**
 * What the launcher needs to know about this machine. The only place in this package that reads the
 * environment: a launcher's input is the PATH it was started with.
 */
import { execFile } from "node:child_process";
import { constants } from "node:fs";
import { access } from "node:fs/promises";
import { createServer } from "node:net";
import { homedir } from "node:os";
import { delimiter, isAbsolute, join } from "node:path";
import { promisify } from "node:util";

const exec = promisify(execFile);

/** Where programs are looked for, and where downloads are kept. */
export interface Host {
  /** Folders separated as in PATH. */
  readonly searchPath: string;
  /** Absolute folder for downloads that outlive a run. */
  readonly cacheDir: string;
}

/** This machine as its environment describes it: PATH, and `$XDG_CACHE_HOME/sluice` or `~/.cache/sluice`. */
export function thisHost(): Host {
  const xdg = process.env["XDG_CACHE_HOME"];
  // The XDG specification: a relative path is invalid and ignored.
  const caches = xdg !== undefined && isAbsolute(xdg) ? xdg : join(homedir(), ".cache");
  return { searchPath: process.env["PATH"] ?? "", cacheDir: join(caches, "sluice") };
}

/** @returns the absolute path of a program, or undefined when no folder of the search path holds it. */
export async function findProgram(host: Host, name: string): Promise<string | undefined> {
  for (const folder of host.searchPath.split(delimiter)) {
    if (!isAbsolute(folder)) continue;
    const file = join(folder, name);
    try {
      await access(file, constants.X_OK);
      return file;
    } catch {
      // Not in this folder.
    }
  }
  return undefined;
}

/** How a program is run by `run`. */
export interface RunOptions {
  readonly cwd?: string;
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
}

/**
 * Runs a program to its end.
 * @returns its stdout.
 * @throws Error when it cannot be started, fails or runs into the timeout; the message carries its stderr.
 */
export async function run(command: string, args: readonly string[], options: RunOptions): Promise<string> {
  const { stdout } = await exec(command, args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    timeout: options.timeoutMs,
    maxBuffer: 16 * 1024 * 1024,
  });
  return stdout;
}

/** @returns whether a program runs to its end without an error. */
export async function runs(command: string, args: readonly string[], options: RunOptions): Promise<boolean> {
  try {
    await run(command, args, options);
    return true;
  } catch {
    return false;
  }
}

/** @returns a loopback port that was free a moment ago. Another process may take it first: be ready to retry. */
export async function freePort(): Promise<number> {
  const server = createServer();
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  server.once("error", reject);
  server.listen(0, "127.0.0.1", () => {
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    server.close(() => {
      resolve(port);
    });
  });
  return promise;
}
