/** What a command lacks, in a sentence that says what to do. */
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, inject, onTestFinished, test, vi } from "vitest";
import { ownRedis } from "../../../packages/services/test/own-redis.ts";

vi.setConfig({ testTimeout: 60_000 });

const MAIN = fileURLToPath(new URL("../src/main.ts", import.meta.url));

/** What it says on its standard error when it ends in vain. */
async function failing(args: readonly string[], env: Record<string, string>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "sluice-test-"));
  onTestFinished(async () => rm(folder, { recursive: true, force: true }));
  const pools = join(folder, "pools.json");
  const pool = { scope: "lab", model: "us.amazon.nova-pro-v1:0", quota: { tokensPerMinute: 1_000_000 } };
  await writeFile(
    pools,
    JSON.stringify({ scopes: { lab: { region: "us-east-1" } }, pools: { claude: pool } }),
  );
  const { promise, resolve } = Promise.withResolvers<string>();
  const all = {
    PATH: process.env["PATH"],
    SLUICE_POOLS: pools,
    SLUICE_NAMESPACE: `cli-test-${randomBytes(4).toString("hex")}`,
    REDIS_URL: inject("redisUrl"),
    AWS_REGION: "us-east-1",
    AWS_ACCESS_KEY_ID: "local",
    AWS_SECRET_ACCESS_KEY: "local",
    ...env,
  };
  execFile(
    process.execPath,
    ["--conditions=@sluice/source", MAIN, ...args],
    { env: all },
    (error, _out, said) => {
      resolve(error === null ? "it did not fail" : said);
    },
  );
  return promise;
}

test("a pool whose limits no worker has published", async () => {
  expect(await failing(["breaker", "claude", "close"], {})).toMatch(
    /^sluice: The limits of pool 'claude' are not published: .*Start one/,
  );
});

test("a node of a Redis Cluster", async () => {
  const { url } = await ownRedis("--cluster-enabled", "yes");
  expect(await failing(["quota", "show", "claude"], { REDIS_URL: url })).toMatch(
    /^sluice: This Redis is a node of a Redis Cluster/,
  );
});

test("a database that Redis does not have, and a path that is none", async () => {
  const { url } = await ownRedis("--databases", "2");
  expect(await failing(["quota", "show", "claude"], { REDIS_URL: `${url}/5` })).toMatch(
    /^sluice: Redis has no database 5 for us/,
  );
  expect(await failing(["quota", "show", "claude"], { REDIS_URL: `${url}/live` })).toMatch(
    /^sluice: Expected the path of the Redis URL to be the number of a database/,
  );
});

test("a table that `init` cannot reach: the cause is told", async () => {
  const said = await failing(["dead-letters", "init"], { AWS_ENDPOINT_URL_DYNAMODB: "http://127.0.0.1:1" });
  expect(said).toMatch(/^sluice: DynamoDB could not .*ECONNREFUSED/);
});

test.each([
  ["AWS_ENDPOINT_URL_DYNAMODB", "localhost:8000", /AWS_ENDPOINT_URL_DYNAMODB: Expected a URL such as http:/],
  ["AWS_REGION", "eu west", /AWS_REGION: Expected an AWS Region such as us-east-1, found 'eu west'/],
  ["SLUICE_DEAD_LETTER_TABLE", "a b/c", /SLUICE_DEAD_LETTER_TABLE: Expected the name of a DynamoDB table/],
  [
    "AWS_ENDPOINT_URL_DYNAMODB",
    "http://127.0.0.1:1",
    /make sure of the keys and indexes in table 'sluice-dead-letters': .*ECONNREFUSED.*\. Check AWS_ENDPOINT_URL_DYNAMODB, or/,
  ],
])("a table by %s=%s", async (name, value, sentence) => {
  expect(await failing(["dead-letters", "init"], { [name]: value })).toMatch(sentence);
});

test("a Redis that does not speak TLS", async () => {
  const { url } = await ownRedis();
  expect(await failing(["quota", "show", "claude"], { REDIS_URL: url.replace("redis:", "rediss:") })).toMatch(
    /^sluice: Redis at REDIS_URL does not answer: .*this port has to speak TLS/,
  );
});
