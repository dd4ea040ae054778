/**
 * Redis from the distribution's own package, without root: on Debian and Ubuntu `apt-get download` and
 * `dpkg -x` need none. In `redis-tools` the server is `redis-check-rdb`, which acts by the name it is called by.
 */
import { mkdir, mkdtemp, readdir, readFile, rename, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { downloadPackage, unpack } from "./apt.ts";
import { findProgram, type Host, runs } from "./host.ts";

export interface UnpackedServer {
  readonly command: string;
  readonly env: Readonly<Record<string, string>>;
}

/**
 * @returns the server from the cache folder, put there first if need be; undefined where there is no apt.
 * @throws Error when the package cannot be had or does not run, with what apt-get printed.
 */
export async function debianRedis(
  host: Host,
  onProgress: (line: string) => void,
): Promise<UnpackedServer | undefined> {
  const aptGet = await findProgram(host, "apt-get");
  const dpkg = await findProgram(host, "dpkg");
  if (aptGet === undefined || dpkg === undefined) return undefined;

  const root = join(host.cacheDir, `redis-${await release()}`);
  const cached = await serverIn(root);
  if (cached !== undefined) return cached;

  onProgress(
    `Redis: none on the PATH, fetching the distribution's package into ${root} (once, without root)`,
  );
  await mkdir(host.cacheDir, { recursive: true });
  // Two folders: the big downloads where the system cleans up after a crash, and the result on the cache's
  // file system, since only there a rename is atomic.
  const work = await mkdtemp(join(tmpdir(), "sluice-redis-"));
  const staging = await mkdtemp(join(host.cacheDir, "unpacking-"));
  try {
    for (const archive of await downloadPackage({ aptGet, dpkg }, "redis-tools", work)) {
      await unpack({ aptGet, dpkg }, archive, staging);
    }
    await symlink("redis-check-rdb", join(staging, "usr/bin/redis-server"));
    await moveIntoPlace(staging, root);
  } finally {
    await rm(work, { recursive: true, force: true });
    await rm(staging, { recursive: true, force: true });
  }
  const server = await serverIn(root);
  if (server === undefined) throw new Error(`${root} was unpacked, but its redis-server does not run`);
  return server;
}

/** One cache entry per system: after an upgrade of the distribution the old libraries may not fit. */
async function release(): Promise<string> {
  const text = await readFile("/etc/os-release", "utf8");
  const field = (name: string): string => new RegExp(`^${name}="?([\\w.-]*)`, "m").exec(text)?.[1] ?? "";
  return [field("ID"), field("VERSION_ID") || field("VERSION_CODENAME"), process.arch].join("-");
}

/** @returns the unpacked server if it is there and runs. Libraries it took from the system may have gone. */
async function serverIn(root: string): Promise<UnpackedServer | undefined> {
  const command = join(root, "usr/bin/redis-server");
  const env = { LD_LIBRARY_PATH: (await libraryFolders(root)).join(":") };
  return (await runs(command, ["--version"], { env, timeoutMs: 10_000 })) ? { command, env } : undefined;
}

/** Libraries are in `usr/lib/<architecture>` or, in older releases, `lib/<architecture>`. */
async function libraryFolders(root: string): Promise<string[]> {
  const found: string[] = [];
  for (const lib of [join(root, "usr/lib"), join(root, "lib")]) {
    const entries = await readdir(lib).catch(() => []);
    found.push(...entries.filter((entry) => entry.includes("-linux-gnu")).map((entry) => join(lib, entry)));
  }
  return found;
}

/** Atomic, so a start at the same time sees all or nothing. The folder of whoever came first is as good. */
async function moveIntoPlace(staging: string, root: string): Promise<void> {
  try {
    await rename(staging, root);
  } catch {
    // A folder is in the way. Either it is good, or it has stopped working and gives way.
    if ((await serverIn(root)) !== undefined) return;
    await rm(root, { recursive: true, force: true });
    await rename(staging, root);
  }
}
