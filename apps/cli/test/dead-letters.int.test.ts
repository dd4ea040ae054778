/** `sluice dead-letters` as a program: lists, shows, dry runs and replays on a real table and a real Redis. */
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createDynamoDbStore, ensureTable } from "@sluice/dead-letter";
import { newJobId } from "@sluice/job";
import { createOperations } from "@sluice/limits";
import { LaneQueue } from "@sluice/queue";
import { connect, keySpace } from "@sluice/redis";
import { expect, inject, onTestFinished, test, vi } from "vitest";
import { z } from "zod";

// Every command is a process, and takes its time to start on a busy machine.
vi.setConfig({ testTimeout: 120_000 });

const SECRET = "Kurpfalz-Zuckerwatte-4711";
const MAIN = fileURLToPath(new URL("../src/main.ts", import.meta.url));
const LANE = { pool: "claude", lane: "standard" } as const;

async function world() {
  const name = `cli-test-${randomBytes(4).toString("hex")}`;
  const folder = await mkdtemp(join(tmpdir(), "sluice-test-"));
  const poolsFile = join(folder, "pools.json");
  const pool = { scope: "lab", model: "us.amazon.nova-pro-v1:0", quota: { tokensPerMinute: 1_000_000 } };
  const scopes = { lab: { region: "us-east-1" } };
  await writeFile(poolsFile, JSON.stringify({ scopes, pools: { [LANE.pool]: pool } }));
  const endpoint = inject("dynamoDbUrl");
  const credentials = { accessKeyId: "local", secretAccessKey: "local" };
  const connection = { tableName: name, endpoint, region: "us-east-1", credentials };
  await ensureTable(connection);
  const store = createDynamoDbStore(connection);
  const redis = connect(inject("redisUrl"), "command", () => {});
  const lane = new LaneQueue({
    redis,
    keySpace: keySpace(name, "lab"),
    ...LANE,
    clock: Date.now,
    onError: () => {},
  });
  onTestFinished(async () => {
    store.close();
    await lane.close();
    const keys = await redis.keys(`${name}:*`);
    if (keys.length > 0) await redis.del(keys);
    redis.disconnect();
    await rm(folder, { recursive: true, force: true });
  });

  async function dead(errorClass: string): Promise<string> {
    const now = Date.now();
    const id = newJobId(LANE.pool, LANE.lane, now);
    const request = { messages: [{ role: "user", content: [{ text: SECRET }] }], maxTokens: 10 };
    const payload = { encoding: "json", json: JSON.stringify(request) } as const;
    const times = { acceptedAt: now, deadlineAt: now + 60_000 };
    await store.put({
      data: { version: 1, id, tenant: "acme", ...LANE, kind: "converse", payload, ...times, maxAttempts: 3 },
      failure: { kind: "terminal", errorClass, message: "Too \u001b[31mlong" },
      attempts: 1,
      stalls: 0,
      diedAt: now - 1_000,
    });
    return id;
  }

  async function run(...args: string[]): Promise<{ code: number; out: string; err: string }> {
    const env = {
      PATH: process.env["PATH"],
      SLUICE_DEAD_LETTER_TABLE: name,
      SLUICE_NAMESPACE: name,
      SLUICE_POOLS: poolsFile,
      REDIS_URL: inject("redisUrl"),
      AWS_ENDPOINT_URL_DYNAMODB: endpoint,
      AWS_REGION: "us-east-1",
      AWS_ACCESS_KEY_ID: "local",
      AWS_SECRET_ACCESS_KEY: "local",
    };
    const argv = ["--conditions=@sluice/source", MAIN, "dead-letters", ...args];
    return new Promise((resolve) => {
      execFile(process.execPath, argv, { env }, (error, out, err) => {
        resolve({ code: error === null ? 0 : Number(error.code), out, err });
      });
    });
  }
  const operations = createOperations(redis, keySpace(name, "lab"));
  /** What is on record for the pool, oldest first. */
  const recorded = async () => (await operations.entries(LANE.pool, 100)).toReversed();
  return { store, lane, dead, run, recorded };
}

test("list and show tell everything but the prompt, and nothing that a terminal obeys", async () => {
  const { dead, run, recorded } = await world();
  const a = await dead("ValidationException");
  const b = await dead("ThrottlingException");
  const all = await run("list");
  expect(all).toMatchObject({ code: 0, out: expect.stringContaining("2 letters") });
  expect(all.out).toContain(a);
  expect(all.out).not.toContain("\u001b");
  const one = await run("list", "--class", "ThrottlingException", "--json");
  expect(JSON.parse(one.out)).toMatchObject({ items: [{ id: b }] });
  const shown = await run("show", a);
  expect(JSON.parse(shown.out)).toMatchObject({ id: a, state: "dead", history: [{ event: "died" }] });
  for (const { out } of [all, one, shown]) expect(out).not.toContain(SECRET);
  expect(await recorded()).toEqual([]);
  expect((await run("show", a, "--prompt")).out).toContain(SECRET);
  const here = expect.stringContaining(`@${hostname()}`) as unknown;
  const look = { by: here, from: here, action: `read the prompt of dead letter ${a}` };
  expect(await recorded()).toMatchObject([
    { ...look, phase: "intent" },
    { ...look, phase: "done" },
  ]);
  expect(await run("show", "unknown")).toMatchObject({
    code: 1,
    err: expect.stringContaining("no dead letter"),
  });
});

test("replay says first what it would do, then does it, once", async () => {
  const { store, lane, dead, run } = await world();
  const ids = [await dead("ValidationException"), await dead("ValidationException")];
  const other = await dead("ThrottlingException");
  expect(await run("replay")).toMatchObject({ code: 1, err: expect.stringContaining("Expected ids") });
  const dry = await run("replay", "--class", "ValidationException", "--dry-run");
  for (const id of ids) expect(dry.out).toContain(`would replay ${id}`);
  expect(await lane.counts()).toMatchObject({ waiting: 0 });

  const replayed = await run("replay", "--class", "ValidationException", "--json");
  expect(replayed.code).toBe(0);
  expect(JSON.parse(replayed.out)).toEqual({ letters: 2, queued: 2 });
  for (const id of ids) expect((await lane.find(`${id}.r1`))?.state).toBe("waiting");
  expect((await store.get(ids[0] ?? ""))?.history.at(-1)).toMatchObject({
    by: expect.stringMatching(/^cli:/),
  });
  expect((await store.get(other))?.state).toBe("dead");
  const again = await run("replay", ...ids, "--json");
  expect([again.code, JSON.parse(again.out)]).toEqual([1, { letters: 0, state: 2 }]);
});

test("a replay is on record before and after, with who does it and from where", async () => {
  const { store, dead, run, recorded } = await world();
  const id = await dead("ValidationException");
  expect((await run("replay", id, "--by", "anna")).code).toBe(0);
  const here = expect.stringContaining(`@${hostname()}`) as unknown;
  const act = { by: "anna", from: here, action: `replay of dead letter ${id}` };
  expect(await recorded()).toMatchObject([
    { ...act, phase: "intent" },
    { ...act, phase: "done" },
  ]);
  expect((await store.get(id))?.history.at(-1)).toMatchObject({
    by: expect.stringMatching(/^cli:anna \(\S+@\S+\)$/),
  });
});

test("three who replay everything at once count each letter once, also one that is named twice", async () => {
  const { lane, dead, run } = await world();
  const ids = await Promise.all(Array.from({ length: 7 }, async () => dead("ValidationException")));
  const named = [...ids, `${ids[0]}.r1`];
  const runs = await Promise.all([
    run("replay", "--all", "--json"),
    run("replay", "--all", "--json"),
    run("replay", ...named, "--json"),
  ]);
  const counted = runs.map(({ out }) => z.object({ letters: z.number() }).parse(JSON.parse(out)).letters);
  expect(counted.reduce((sum, count) => sum + count)).toBe(ids.length);
  expect(await lane.counts()).toMatchObject({ waiting: ids.length });
});
