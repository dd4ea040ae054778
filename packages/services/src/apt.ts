/** Downloads of Debian packages with their missing dependencies, without root and without installing anything. */
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { run } from "./host.ts";

const DOWNLOAD_TIMEOUT_MS = 120_000;
const LOCAL_TIMEOUT_MS = 10_000;

/** Absolute paths of the two programs. */
export interface Apt {
  readonly aptGet: string;
  readonly dpkg: string;
}

/**
 * Downloads a package and all it needs that this system does not have. Which that is, differs by release.
 * @param work an empty folder of the caller's.
 * @returns the absolute paths of the archives.
 * @throws Error with what apt-get printed.
 */
export async function downloadPackage(apt: Apt, name: string, work: string): Promise<string[]> {
  const folder = join(work, "archives");
  await mkdir(folder);
  const fetch = downloader(apt, work, folder);
  const fetched = new Set<string>();
  let wanted = [name];
  while (wanted.length > 0) {
    await fetch(wanted);
    for (const each of wanted) fetched.add(each);
    wanted = [];
    for (const archive of await archivesIn(folder)) {
      for (const alternatives of await dependencies(apt, archive)) {
        const [first] = alternatives;
        if (first === undefined || alternatives.some((each) => fetched.has(each) || wanted.includes(each)))
          continue;
        if (!(await isAnyInstalled(apt, alternatives))) wanted.push(first);
      }
    }
  }
  return archivesIn(folder);
}

/** @throws Error with what dpkg printed. */
export async function unpack(apt: Apt, archive: string, folder: string): Promise<void> {
  await run(apt.dpkg, ["-x", archive, folder], { timeoutMs: LOCAL_TIMEOUT_MS });
}

/**
 * With the system's package lists at first. Where there are none (fresh containers), or they are so old that
 * their archives have gone, with private ones: refreshing the system's would need root.
 */
function downloader(apt: Apt, work: string, folder: string): (names: readonly string[]) => Promise<void> {
  const options = { cwd: folder, timeoutMs: DOWNLOAD_TIMEOUT_MS };
  let lists: string[] = [];
  const download = async (names: readonly string[]): Promise<void> => {
    await run(apt.aptGet, ["-qq", ...lists, "download", ...names], options);
  };
  return async (names) => {
    try {
      await download(names);
    } catch (error) {
      if (lists.length > 0) throw error;
      lists = await privateLists(work);
      await run(apt.aptGet, ["-qq", ...lists, "update"], options);
      await download(names);
    }
  };
}

async function privateLists(work: string): Promise<string[]> {
  await mkdir(join(work, "lists/partial"), { recursive: true });
  await mkdir(join(work, "cache/archives/partial"), { recursive: true });
  const settings = {
    "Dir::State::lists": join(work, "lists"),
    "Dir::Cache": join(work, "cache"),
    "Debug::NoLocking": "1",
    "Acquire::Languages": "none",
  };
  return Object.entries(settings).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
}

async function archivesIn(folder: string): Promise<string[]> {
  return (await readdir(folder)).filter((name) => name.endsWith(".deb")).map((name) => join(folder, name));
}

async function dependencies({ dpkg }: Apt, archive: string): Promise<string[][]> {
  return parseDepends(await run(dpkg, ["--field", archive, "Depends"], { timeoutMs: LOCAL_TIMEOUT_MS }));
}

/**
 * Reads a Depends field, e.g. `libc6 (>= 2.34), debconf (>= 0.5) | debconf-2.0, python3:any`.
 * @returns per dependency the names that satisfy it; versions and architectures are left out.
 */
export function parseDepends(field: string): string[][] {
  return field
    .split(",")
    .map((dependency) => dependency.split("|").map((name) => name.trim().replace(/[\s:(].*$/, "")))
    .filter(([name]) => name !== "");
}

async function isAnyInstalled({ dpkg }: Apt, names: readonly string[]): Promise<boolean> {
  for (const name of names) {
    try {
      const status = await run(dpkg, ["--status", name], { timeoutMs: LOCAL_TIMEOUT_MS });
      if (/^Status: .* installed$/m.test(status)) return true;
    } catch {
      // Not installed.
    }
  }
  return false;
}
