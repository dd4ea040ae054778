/** The order of the ways, with real servers. The tests of apt need a Debian or Ubuntu and its archive. */
import { chmod, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { findProgram, type Host, thisHost } from "../src/host.ts";
import { startRedis } from "../src/index.ts";
import { findRedis } from "../src/redis-ways.ts";

const aptGet = await findProgram(thisHost(), "apt-get");
const dpkg = await findProgram(thisHost(), "dpkg");

let folder: string;
let host: Host;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "sluice-test-"));
  host = { searchPath: join(folder, "bin"), cacheDir: join(folder, "cache") };
  await mkdir(host.searchPath);
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

/** Puts the real server of this machine on the test's PATH under a name. */
async function putOnPath(name: string): Promise<string> {
  const { command, env } = (await findRedis(thisHost(), () => {})).order(folder, 0, []);
  const settings = Object.entries(env).map(([key, value]) => `export ${key}='${value}'\n`);
  const file = join(host.searchPath, name);
  await writeFile(file, `#!/bin/sh\n${settings.join("")}exec '${command}' "$@"\n`);
  await chmod(file, 0o755);
  return file;
}

describe("a server on the PATH", () => {
  test("is taken before anything else", async () => {
    const file = await putOnPath("valkey-server");
    if (aptGet !== undefined) await symlink(aptGet, join(host.searchPath, "apt-get"));
    if (dpkg !== undefined) await symlink(dpkg, join(host.searchPath, "dpkg"));
    await using redis = await startRedis({ dataDir: folder, host });
    expect(redis.origin).toBe(file);
    await expect(readdir(host.cacheDir)).rejects.toThrow("ENOENT");
  });

  test("redis-server comes before valkey-server", async () => {
    await putOnPath("valkey-server");
    const file = await putOnPath("redis-server");
    expect((await findRedis(host, () => {})).origin).toBe(file);
  });
});

// On other systems there is no apt to test with.
describe.runIf(aptGet !== undefined && dpkg !== undefined)("without one, on Debian and Ubuntu", () => {
  beforeEach(async () => {
    await symlink(String(aptGet), join(host.searchPath, "apt-get"));
    await symlink(String(dpkg), join(host.searchPath, "dpkg"));
  });

  test("the package is unpacked once, also by two starts at the same time, and nothing else stays", async () => {
    const lines: string[] = [];
    const hear = (line: string): number => lines.push(line);
    const ways = await Promise.all([findRedis(host, hear), findRedis(host, hear)]);
    const [entry, ...others] = await readdir(host.cacheDir);
    expect(others).toEqual([]);
    const server = join(host.cacheDir, entry ?? "", "usr/bin/redis-server");
    expect(ways.map(({ origin }) => origin)).toEqual([server, server]);
    expect(lines[0]).toContain("fetching the distribution's package");

    lines.length = 0;
    await using redis = await startRedis({ dataDir: folder, host, onProgress: hear });
    expect(redis.origin).toBe(server);
    expect(lines).toEqual([]);
  });

  test("a cache entry that does not run is replaced", async () => {
    const first = await findRedis(host, () => {});
    await writeFile(first.origin, "not a program");
    const second = await findRedis(host, () => {});
    expect(second.origin).toBe(first.origin);
    await using redis = await startRedis({ dataDir: folder, host });
    expect(redis.origin).toBe(first.origin);
  });
});
