/** What is left of the services when the app that started them ends, in every way an app can end. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { access, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { z } from "zod";
import { startServices } from "../src/index.ts";
import { isAlive, parentOf } from "./processes.ts";

const service = z.object({ pid: z.number() });
const report = z.object({
  runFolder: z.string(),
  found: z.object({ redis: service, dynamoDb: service, simulator: service }),
});

let dataDir: string;
let app: ChildProcess;
let lines: AsyncIterator<string>;
let runFolder: string;
let pids: number[];

async function startApp(): Promise<void> {
  dataDir = await mkdtemp(join(tmpdir(), "sluice-test-"));
  const file = fileURLToPath(new URL("./fixtures/app.ts", import.meta.url));
  // A process group of its own, as a terminal gives to what it runs.
  const child = spawn(process.execPath, ["--conditions=@sluice/source", file, dataDir], {
    stdio: ["ignore", "pipe", "inherit"],
    detached: true,
  });
  app = child;
  lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const { found, ...rest } = report.parse(JSON.parse(await nextLine()));
  runFolder = rest.runFolder;
  const guard = parentOf(found.redis.pid);
  pids = [guard, ...Object.values(found).map(({ pid }) => pid)];
  if (!pids.every(isAlive)) throw new Error(`Expected four running processes, got ${String(pids)}`);
}
beforeEach(startApp);

afterEach(async () => {
  app.kill("SIGKILL");
  await nothingIsLeft();
  await rm(dataDir, { recursive: true });
});

async function nextLine(): Promise<string> {
  const next = await lines.next();
  return z.string().parse(next.value);
}

/** They are not our children, so there is no event to wait for. */
async function nothingIsLeft(): Promise<void> {
  await vi.waitFor(
    () => {
      expect(pids.filter(isAlive)).toEqual([]);
    },
    { timeout: 10_000, interval: 20 },
  );
}

test.each(["SIGKILL", "SIGTERM"] as const)(
  "an app ended by %s leaves no process, and the next start removes its folder",
  async (signal) => {
    app.kill(signal);
    await nothingIsLeft();
    await access(runFolder);
    await using next = await startServices({ dataDir, only: ["redis"] });
    expect(next.runFolder).not.toBe(runFolder);
    await expect(access(runFolder)).rejects.toThrow("ENOENT");
  },
);

test("Ctrl-C reaches the app and not its services, so the app can still drain", async () => {
  const exit = once(app, "exit");
  process.kill(-(app.pid ?? Number.NaN), "SIGINT");
  expect(await nextLine()).toBe("PONG");
  expect(await exit).toEqual([0, null]);
  expect(pids.filter(isAlive)).toEqual([]);
  await expect(access(runFolder)).rejects.toThrow("ENOENT");
});
