/** What a worker lacks when it starts: said within seconds, once each; and it leaves at once. */
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { freePort } from "@sluice/services";
import { expect, inject, onTestFinished, test, vi } from "vitest";
import { testRedis } from "../../../packages/redis/test/redis.ts";
import { ownRedis } from "../../../packages/services/test/own-redis.ts";
import { startFleet } from "./fleet.ts";

vi.setConfig({ testTimeout: 60_000 });

const start = async () =>
  startFleet({ redisUrl: inject("redisUrl"), dynamoDbUrl: inject("dynamoDbUrl"), latencyMs: 10 });

/** A worker that may never be ready: nobody may wait for that. It finds no credentials. */
function forked(folder: string, env: Readonly<Record<string, string>>): ChildProcess {
  const worker = fork(fileURLToPath(new URL("../src/main.ts", import.meta.url)), [], {
    env: {
      PATH: process.env["PATH"],
      SLUICE_POOLS: join(folder, "pools.yaml"),
      AWS_REGION: "us-east-1",
      AWS_EC2_METADATA_DISABLED: "true",
      AWS_CONFIG_FILE: "/dev/null",
      AWS_SHARED_CREDENTIALS_FILE: "/dev/null",
      ...env,
    },
    execArgv: ["--conditions=@sluice/source"],
    stdio: ["ignore", "pipe", "inherit", "ipc"],
  });
  onTestFinished(() => void worker.kill("SIGKILL"));
  return worker;
}

test("Redis, DynamoDB and credentials away: a line for each, and SIGTERM ends it at once", async () => {
  await using fleet = await start();
  const port = await freePort();
  const worker = forked(fleet.folder, {
    REDIS_URL: `redis://127.0.0.1:${port}`,
    AWS_ENDPOINT_URL_DYNAMODB: `http://127.0.0.1:${port}`,
  });
  let text = "";
  worker.stdout?.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
  const about = ["Redis does not answer", "dead letter table", "AWS credentials of scope 'lab'"];
  await vi.waitFor(() => about.forEach((each) => expect(text).toContain(each)), 30_000);
  // Time to say it again.
  await vi.waitFor(() => expect(text).toContain('"msg":"identity:lost"'), 30_000);
  for (const each of about) expect(text.split(each)).toHaveLength(2);
  // Nor as an error of each part that meets it.
  expect(text).not.toContain('"msg":"worker:error"');

  const askedAt = performance.now();
  worker.kill("SIGTERM");
  expect(await once(worker, "exit")).toEqual([0, null]);
  expect(performance.now() - askedAt).toBeLessThan(2_000);
});

test("Redis stops answering while the worker starts: SIGTERM ends it at once", async () => {
  await using fleet = await start();
  const own = await ownRedis();
  const redis = testRedis("command", own.url);
  const env = { REDIS_URL: own.url, AWS_ENDPOINT_URL_DYNAMODB: inject("dynamoDbUrl") };
  const worker = forked(fleet.folder, env);
  worker.stdout?.resume();
  // It has looked at Redis, and publishes its limits next.
  const hasBegun = async () => expect(await redis.keys("*:mark")).toHaveLength(1);
  await vi.waitFor(hasBegun, { timeout: 30_000, interval: 1 });
  await redis.client("PAUSE", 600_000, "ALL");

  const askedAt = performance.now();
  worker.kill("SIGTERM");
  expect(await once(worker, "exit")).toEqual([0, null]);
  expect(performance.now() - askedAt).toBeLessThan(4_000);
  // It would wait for the end of the pause before it ends.
  await own.kill();
});

test("a table that is not there is named, with the reason", async () => {
  await using fleet = await start();
  const worker = await fleet.startWorker(undefined, { SLUICE_DEAD_LETTER_TABLE: "no-such-table" });
  await worker.logged("the table", ({ msg, need, why }) => {
    return (
      msg === "start:lacks" &&
      need === "dead letter table 'no-such-table'" &&
      /ResourceNotFound/.test(String(why))
    );
  });
  // The rest of it works.
  const [id = ""] = await fleet.submit([{}]);
  await vi.waitFor(async () => expect(await fleet.ends([id])).toEqual(["completed"]), 20_000);
});

test.each([
  ["a node of a cluster", ["--cluster-enabled", "yes"], "", "is a node of a Redis Cluster"],
  ["a database that is not there", ["--databases", "2"], "/7", "Redis has no database 7 for us"],
  [
    "a path that is none",
    [],
    "/production",
    "Expected the path of the Redis URL to be the number of a database",
  ],
])("%s ends it with a sentence", async (_name, settings, path, sentence) => {
  const { url } = await ownRedis(...settings);
  await using fleet = await start();
  const worker = await fleet.startWorker(undefined, { REDIS_URL: url + path });
  expect(await worker.exit).toEqual({ code: 1, signal: null });
  expect(worker.text).toContain(`sluice worker: `);
  expect(worker.text).toContain(sentence);
});
