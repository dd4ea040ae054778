/**
 * Redis from the distribution's own package, without root: on Debian and Ubuntu `apt-get download` and
 * `dpkg -x` need none. In `redis-tools` the server is `redis-check-rdb`, which acts by the name it is called by.
 */
import { mkdir, mkdtemp, readdir, readFile, rename, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findProgram, type Host, run, runs } from "./host.ts";

const DOWNLOAD_TIMEOUT_MS = 120_000;
const LOCAL_TIMEOUT_MS = 10_000;

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
    `Redis: none on the PATH, fetching the distribution's package into ${root} (once, no root needed)`,
  );
  await mkdir(host.cacheDir, { recursive: true });
  const work = await mkdtemp(join(tmpdir(), "sluice-redis-"));
  const staging = await mkdtemp(join(host.cacheDir, "unpacking-"));
  try {
    const archives = await download(aptGet, work);
    for (const archive of archives)
      await run(dpkg, ["-x", archive, staging], { timeoutMs: LOCAL_TIMEOUT_MS });
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
  return (await runs(command, ["--version"], { env, timeoutMs: LOCAL_TIMEOUT_MS }))
    ? { command, env }
    : undefined;
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

/** Downloads redis-tools and what it needs that this system does not have. Which that is, differs by release. */
async function download(aptGet: string, work: string): Promise<string[]> {
  const folder = join(work, "debs");
  await mkdir(folder);
  const fetch = await downloader(aptGet, work, folder);
  const fetched = new Set<string>();
  let wanted = ["redis-tools"];
  while (wanted.length > 0) {
    await fetch(wanted);
    for (const name of wanted) fetched.add(name);
    const needed = await Promise.all(
      (await archivesIn(folder)).map(async (archive) => dependencies(archive)),
    );
    wanted = [];
    for (const alternatives of needed.flat()) {
      if (alternatives.some((name) => fetched.has(name) || wanted.includes(name))) continue;
      const present = await Promise.all(alternatives.map(async (name) => isInstalled(name)));
      const [first] = alternatives;
      if (!present.includes(true) && first !== undefined) wanted.push(first);
    }
  }
  return archivesIn(folder);
}

/** With the system's package lists; where there are none (fresh containers), with private ones. */
async function downloader(
  aptGet: string,
  work: string,
  folder: string,
): Promise<(names: readonly string[]) => Promise<void>> {
  const options = { cwd: folder, timeoutMs: DOWNLOAD_TIMEOUT_MS };
  const probe = ["-qq", "download", "--print-uris", "redis-tools"];
  if (await runs(aptGet, probe, options)) {
    return async (names) => {
      await run(aptGet, ["-qq", "download", ...names], options);
    };
  }
  await mkdir(join(work, "lists/partial"), { recursive: true });
  await mkdir(join(work, "cache/archives/partial"), { recursive: true });
  const settings = {
    "Dir::State::lists": join(work, "lists"),
    "Dir::Cache": join(work, "cache"),
    "Debug::NoLocking": "1",
    "Acquire::Languages": "none",
  };
  const own = Object.entries(settings).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
  await run(aptGet, ["-qq", ...own, "update"], options);
  return async (names) => {
    await run(aptGet, ["-qq", ...own, "download", ...names], options);
  };
}

async function archivesIn(folder: string): Promise<string[]> {
  return (await readdir(folder)).map((name) => join(folder, name));
}

/** @returns the Depends field: per dependency the names that satisfy it, versions left out. */
async function dependencies(archive: string): Promise<string[][]> {
  const field = await run("dpkg-deb", ["-f", archive, "Depends"], { timeoutMs: LOCAL_TIMEOUT_MS });
  return field
    .split(",")
    .map((dependency) => dependency.split("|").map((name) => name.trim().replace(/[\s:(].*$/, "")))
    .filter(([name]) => name !== undefined && name !== "");
}

async function isInstalled(name: string): Promise<boolean> {
  try {
    const args = ["-W", "-f", "${db:Status-Status}\n", name];
    const states = await run("dpkg-query", args, { timeoutMs: LOCAL_TIMEOUT_MS });
    return states.split("\n").includes("installed");
  } catch {
    return false;
  }
}

/** Atomic, so a start at the same time sees all or nothing; the folder of whoever came first is as good as ours. */
async function moveIntoPlace(staging: string, root: string): Promise<void> {
  if ((await serverIn(root)) !== undefined) return;
  // Something that does not run any more may be in the way.
  await rm(root, { recursive: true, force: true });
  try {
    await rename(staging, root);
  } catch (error) {
    if ((await serverIn(root)) === undefined) throw error;
  }
}
