/** The API's own process: what it needs, what it refuses, how it leaves. */
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { z } from "zod";
import { POOLS } from "./given.ts";

const MAIN = fileURLToPath(new URL("../src/main.ts", import.meta.url));

let folder: string;
let complete: Record<string, string>;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "sluice-test-"));
  const file = join(folder, "pools.yaml");
  await writeFile(file, JSON.stringify(POOLS));
  complete = {
    SLUICE_POOLS: file,
    REDIS_URL: inject("redisUrl"),
    SLUICE_NAMESPACE: "api-main-test",
    PORT: "0",
  };
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

function start(env: Record<string, string>): ChildProcess {
  return fork(MAIN, [], {
    env: { PATH: process.env["PATH"], ...env },
    execArgv: ["--conditions=@sluice/source"],
    stdio: ["ignore", "pipe", "pipe", "ipc"],
  });
}

test("prints no password and no prompt, whatever Redis and callers answer", async () => {
  const redisUrl = new URL(inject("redisUrl"));
  redisUrl.username = "somebody";
  redisUrl.password = "hunter2";
  const child = start({ ...complete, REDIS_URL: redisUrl.href, LOG_LEVEL: "trace" });
  let printed = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (chunk: string) => (printed += chunk));
  }
  const [message]: unknown[] = await once(child, "message");
  const { url } = z.object({ url: z.string() }).parse(message);
  for (const body of [
    '{"prompt": "Zuckerwatte',
    '{"pool":"claude","lane":"critical","prompt":"Zuckerwatte"}',
  ]) {
    const headers = { "content-type": "application/json" };
    const response = await fetch(`${url}/v1/jobs`, { method: "POST", headers, body });
    expect(response.status).toBeGreaterThanOrEqual(400);
  }
  await expect.poll(() => printed, { timeout: 10_000 }).toMatch(/WRONGPASS|AUTH/);
  child.kill("SIGTERM");
  await once(child, "exit");
  expect(printed).not.toMatch(/hunter2|Zuckerwatte/);
});

async function errorOf(child: ChildProcess): Promise<string> {
  let text = "";
  child.stderr?.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
  await once(child, "close");
  expect(child.exitCode).toBe(1);
  return text;
}

test("listens on loopback, tells its parent where, and leaves on SIGTERM", async () => {
  const child = start(complete);
  const [message]: unknown[] = await once(child, "message");
  const { url } = z.object({ type: z.literal("ready"), url: z.string() }).parse(message);
  expect(new URL(url).hostname).toBe("127.0.0.1");
  expect((await fetch(`${url}/readyz`)).status).toBe(200);
  child.kill("SIGTERM");
  expect(await once(child, "exit")).toEqual([0, null]);
});

test("refuses an address that others can reach unless it is told so", async () => {
  const error = await errorOf(start({ ...complete, HOST: "0.0.0.0" }));
  expect(error).toContain("HOST is 0.0.0.0");
  expect(error).toContain("Set HOST to 127.0.0.1, or SLUICE_ALLOW_UNAUTHENTICATED=true");
});

test("names everything that is missing or wrong in its environment at once", async () => {
  const error = await errorOf(start({ REDIS_URL: "http://127.0.0.1:6379", PORT: "70000" }));
  for (const name of ["SLUICE_POOLS", "REDIS_URL", "PORT"]) expect(error).toContain(`  ${name}: `);
});
