/** The board's own process: what it says however quiet it is told to be. */
import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, inject, onTestFinished, test } from "vitest";
import { z } from "zod";

const MAIN = fileURLToPath(new URL("../src/main.ts", import.meta.url));
const POOLS = {
  scopes: { lab: { region: "us-east-1" } },
  pools: { nova: { scope: "lab", model: "us.amazon.nova-pro-v1:0", quota: { tokensPerMinute: 1_000_000 } } },
};

test("keeps its record of writes with LOG_LEVEL=silent, and says nothing else", async () => {
  const folder = await mkdtemp(join(tmpdir(), "sluice-test-"));
  onTestFinished(async () => rm(folder, { recursive: true, force: true }));
  const file = join(folder, "pools.yaml");
  await writeFile(file, JSON.stringify(POOLS));
  const child = fork(MAIN, [], {
    env: {
      PATH: process.env["PATH"],
      SLUICE_POOLS: file,
      SLUICE_NAMESPACE: "board-main-test",
      REDIS_URL: inject("redisUrl"),
      AWS_ENDPOINT_URL_DYNAMODB: inject("dynamoDbUrl"),
      AWS_REGION: "us-east-1",
      AWS_ACCESS_KEY_ID: "local",
      AWS_SECRET_ACCESS_KEY: "local",
      PORT: "0",
      LOG_LEVEL: "silent",
    },
    execArgv: ["--conditions=@sluice/source"],
    stdio: ["ignore", "pipe", "inherit", "ipc"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  let printed = "";
  child.stdout?.setEncoding("utf8").on("data", (chunk: string) => (printed += chunk));
  const [message]: unknown[] = await once(child, "message");
  const { url } = z.object({ url: z.string() }).parse(message);

  const reply = await fetch(`${url}/dead-letters/letter/none/no-such-action`, { method: "POST" });
  expect(reply.status).toBeGreaterThanOrEqual(400);
  const exit = once(child, "exit");
  child.kill("SIGTERM");
  await exit;

  const line = z.object({ msg: z.string(), phase: z.string() });
  const lines = printed
    .trim()
    .split("\n")
    .map((text) => line.parse(JSON.parse(text)));
  expect(lines).toMatchObject([
    { msg: "board:audit", phase: "intent" },
    { msg: "board:audit", phase: "result" },
  ]);
});
