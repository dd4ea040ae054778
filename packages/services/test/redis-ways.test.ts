import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { dockerServer, findRedis } from "../src/redis-ways.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "sluice-test-"));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

describe("with no way to a Redis", () => {
  test("one error says what to install on each system", async () => {
    const search = findRedis({ searchPath: folder, cacheDir: folder }, () => {});
    await expect(search).rejects.toMatchObject({ code: "REDIS_NOT_FOUND" });
    for (const advice of ["brew install", "apt-get install", "dnf install", "WSL", "Docker", "URL"]) {
      // oxlint-disable-next-line no-await-in-loop -- one rejected promise, looked at six times
      await expect(search).rejects.toThrow(advice);
    }
  });

  test("a server on the PATH that does not run is named", async () => {
    const broken = join(folder, "redis-server");
    await writeFile(broken, "#!/bin/sh\nexit 1\n");
    await chmod(broken, 0o755);
    const lines: string[] = [];
    const search = findRedis({ searchPath: folder, cacheDir: folder }, (line) => lines.push(line));
    await expect(search).rejects.toThrow(`${broken} is there but does not run`);
    expect(lines).toEqual([`Redis: ${broken} is there but does not run`]);
  });
});

test("in Docker: loopback only, our folder, and removed by name whatever happens to the client", () => {
  const { command, args, afterwards } = dockerServer("/usr/bin/docker").order("/data/redis", 40_000, [
    "--save",
    "",
  ]);
  const name = `sluice-redis-${String(process.pid)}-40000`;
  expect([command, ...args].join(" ")).toMatch(
    new RegExp(
      `^/usr/bin/docker run --rm --name ${name} .*--publish 127.0.0.1:40000:6379 redis:8-alpine redis-server `,
    ),
  );
  expect(args).toContain("/data/redis:/data");
  expect(args.slice(-2)).toEqual(["--save", ""]);
  expect(afterwards).toEqual([["/usr/bin/docker", "rm", "--force", name]]);
});
