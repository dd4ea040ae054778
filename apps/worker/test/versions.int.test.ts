/** Programs of this version and of the one before side by side, as during a deploy, both ways round. */
import { hasFormerVersion, unpackFormerVersion, type FormerVersion, type Started } from "@sluice/chaos";
import { queueName } from "@sluice/job";
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test, vi } from "vitest";
import { z } from "zod";
import { PATIENTLY, startFleet, type Fleet } from "./fleet.ts";

vi.setConfig({ testTimeout: 90_000, hookTimeout: 60_000 });

const API = new URL("../../api/src/main.ts", import.meta.url);

const replySchema = z.object({
  id: z.string(),
  repeated: z.boolean().optional(),
  state: z.string().optional(),
});

async function newFleet(latencyMs = 50): Promise<Fleet> {
  const services = { redisUrl: inject("redisUrl"), dynamoDbUrl: inject("dynamoDbUrl") };
  const fleet = await startFleet({ ...services, latencyMs });
  onTestFinished(async () => fleet[Symbol.asyncDispose]());
  return fleet;
}

async function post({ url = "" }: Started, key: string) {
  const body = JSON.stringify({
    pool: "test",
    lane: "standard",
    prompt: key,
    maxTokens: 20,
    idempotencyKey: key,
  });
  const response = await fetch(`${url}/v1/jobs`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body,
  });
  return { status: response.status, ...replySchema.parse(await response.json()) };
}

async function get({ url = "" }: Started, id: string) {
  return replySchema.parse(await (await fetch(`${url}/v1/jobs/${id}`)).json());
}

const ended = ({ lines }: Started): string[] =>
  lines.filter(({ msg }) => msg === "job:completed").map(({ id }) => String(id));
/** The locks of these fleets are short: a busy machine loses one now and then, which is no matter of versions. */
const troubles = ({ lines }: Started): unknown[] =>
  lines.filter(
    ({ msg, error }) => msg === "worker:error" && !/Missing lock|Lock mismatch/.test(String(error)),
  );

describe.skipIf(!hasFormerVersion())(
  "beside the version before (skipped where the clone has no history)",
  () => {
    let former: FormerVersion;
    beforeAll(async () => {
      former = await unpackFormerVersion();
    });
    afterAll(async () => former[Symbol.asyncDispose]());

    test("jobs of either API are answered by workers of both, and either API knows them and their keys", async () => {
      const fleet = await newFleet();
      const [oldWorker, newWorker, oldApi, newApi] = await Promise.all([
        fleet.startWorker(former.app("worker")),
        fleet.startWorker(),
        fleet.startWorker(former.app("api"), { PORT: "0" }),
        fleet.startWorker(API, { PORT: "0" }),
      ]);
      const keys = Array.from({ length: 40 }, (_, index) => `key-${index}`);
      const accepted = await Promise.all(
        keys.map(async (key, index) => post(index % 2 ? oldApi : newApi, key)),
      );
      expect(new Set(accepted.map(({ status }) => status))).toEqual(new Set([202]));
      const ids = accepted.map(({ id }) => id);
      await vi.waitFor(async () => {
        expect(new Set(await fleet.ends(ids))).toEqual(new Set(["completed"]));
      }, PATIENTLY);
      for (const [index, key] of keys.entries()) {
        const other = index % 2 ? newApi : oldApi;
        expect(await post(other, key)).toMatchObject({ status: 200, id: ids[index], repeated: true });
        expect(await get(other, ids[index] ?? "")).toMatchObject({ state: "completed" });
      }
      expect(ended(oldWorker).length).toBeGreaterThan(0);
      expect(ended(newWorker).length).toBeGreaterThan(0);
      for (const each of [oldWorker, newWorker, oldApi, newApi]) expect(troubles(each)).toEqual([]);
      // One call each: neither paid for what the other had answered.
      expect([...(await fleet.callsByJob()).values()].every((calls) => calls === 1)).toBe(true);
    });

    test.each([
      ["the one before is killed", "former", "current"],
      ["this one is killed", "current", "former"],
    ] as const)(
      "when %s, the other takes its calls over, and reads its dead letters",
      async (_what, first, second) => {
        const fleet = await newFleet(2_000);
        const start = async (which: "former" | "current") =>
          fleet.startWorker(which === "former" ? former.app("worker") : undefined);
        const killed = await start(first);
        const [dead = "", ...ids] = await fleet.submit([{ fault: "ValidationException" }, {}, {}]);
        await vi.waitFor(async () => expect(await fleet.ends([dead])).toEqual(["dead"]), PATIENTLY);
        await vi.waitFor(async () => expect(await fleet.deadLetters.look(dead)).toBeDefined(), PATIENTLY);
        await killed.logged("a call", ({ msg, id }) => msg === "job:granted" && ids.includes(String(id)));
        killed.kill("SIGKILL");
        await killed.exit;
        const other = await start(second);
        await vi.waitFor(async () => {
          expect(await fleet.ends(ids)).toEqual(["completed", "completed"]);
        }, PATIENTLY);
        // What the one stored as a letter, the other revives.
        await fleet.deadLetters.claim(dead, { by: "ann", replays: 0, leaseMs: 1 });
        const api = await fleet.startWorker(second === "former" ? former.app("api") : API, { PORT: "0" });
        expect(await get(api, dead)).toMatchObject({ id: dead });
        expect(troubles(other)).toEqual([]);
      },
    );
  },
);

test("a job of the next version is handed back until somebody can read it, and told of once", async () => {
  const fleet = await newFleet();
  const [id = "", ...others] = await fleet.submit([{}, {}, {}]);
  const hash = `${fleet.keySpace}:${queueName("test", "standard")}:${id}`;
  const data = (await fleet.redis.hget(hash, "data")) ?? "";
  const next = { ...JSON.parse(data), version: 2, payload: { parts: [] } };
  await fleet.redis.hset(hash, "data", JSON.stringify(next));
  const worker = await fleet.startWorker();
  const deferred = () =>
    worker.lines.filter(({ msg, reason }) => msg === "job:deferred" && reason === "newer-version");
  await vi.waitFor(() => expect(deferred().length).toBeGreaterThanOrEqual(2), PATIENTLY);
  expect(worker.lines.filter(({ msg }) => msg === "version:newer")).toMatchObject([
    { id, pool: "test", what: "data", version: 2, known: 1 },
  ]);
  expect(await fleet.ends(others)).toEqual(["completed", "completed"]);
  expect(await fleet.redis.hget(hash, "data")).toBe(JSON.stringify(next));
  expect(await fleet.redis.hget(hash, "atm")).toBe(null);
  // A program of that version would run it. Here it becomes one of ours again.
  await fleet.redis.hset(hash, "data", data);
  await vi.waitFor(async () => expect(await fleet.ends([id])).toEqual(["completed"]), PATIENTLY);
});
