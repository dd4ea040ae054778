/** The board's own process, with a password that Redis refuses and a body that is no JSON: its log tells neither. */
import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, inject, onTestFinished, test } from "vitest";
import { z } from "zod";
import { MARKER } from "./given.ts";

const MAIN = fileURLToPath(new URL("../src/main.ts", import.meta.url));
const SECRET = "hunter2-and-more";

test("neither a password nor a body is printed", async () => {
  const folder = await mkdtemp(join(tmpdir(), "sluice-test-"));
  onTestFinished(async () => rm(folder, { recursive: true, force: true }));
  const file = join(folder, "pools.yaml");
  const pool = { scope: "main", model: "us.amazon.nova-pro-v1:0", quota: { tokensPerMinute: 1_000_000 } };
  await writeFile(file, JSON.stringify({ scopes: { main: { region: "us-east-1" } }, pools: { nova: pool } }));
  const redisUrl = new URL(inject("redisUrl"));
  // The Redis of the tests knows no user but the one without a password: it answers AUTH with an error.
  redisUrl.username = "somebody";
  redisUrl.password = SECRET;
  const child = fork(MAIN, [], {
    env: {
      PATH: process.env["PATH"],
      SLUICE_POOLS: file,
      REDIS_URL: redisUrl.href,
      SLUICE_NAMESPACE: "board-secrets-test",
      PORT: "0",
      AWS_REGION: "us-east-1",
      AWS_ENDPOINT_URL_DYNAMODB: inject("dynamoDbUrl"),
      AWS_ACCESS_KEY_ID: "local",
      AWS_SECRET_ACCESS_KEY: "local",
    },
    execArgv: ["--conditions=@sluice/source"],
    stdio: ["ignore", "pipe", "pipe", "ipc"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  let printed = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (chunk: string) => (printed += chunk));
  }
  const [message]: unknown[] = await once(child, "message");
  const { url } = z.object({ url: z.string() }).parse(message);
  const response = await fetch(`${url}/api/queues/nova.bulk/x/update-data`, {
    method: "PATCH",
    headers: { "content-type": "application/json" },
    body: `{"prompt": "${MARKER}`,
  });
  expect(response.status).toBe(400);
  expect(await response.text()).not.toContain(MARKER);
  // Both have been told of by now, if they are at all.
  await fetch(`${url}/api/queues`).then(async (answer) => answer.text());
  await expect.poll(() => printed, { timeout: 10_000 }).toMatch(/WRONGPASS|NOAUTH|AUTH/);
  child.kill("SIGTERM");
  await once(child, "exit");
  expect(printed).not.toContain(SECRET);
  expect(printed).not.toContain(MARKER);
});
