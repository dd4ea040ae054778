/** Credentials that end, on real processes: nobody's job dies of them, and new ones are used as soon as they are there. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, inject, test, vi } from "vitest";
import type { Started } from "@sluice/chaos";
import { PATIENTLY, startFleet, type Fleet, type FleetOptions } from "./fleet.ts";

vi.setConfig({ testTimeout: 120_000 });

function startHere(options: Partial<FleetOptions> & { latencyMs: number }) {
  return startFleet({ redisUrl: inject("redisUrl"), dynamoDbUrl: inject("dynamoDbUrl"), ...options });
}

async function addFault(fleet: Fleet, rule: object): Promise<void> {
  await fetch(`${fleet.simulatorUrl}/_sim/faults`, { method: "POST", body: JSON.stringify(rule) });
}

async function struck(fleet: Fleet): Promise<number> {
  const response = await fetch(`${fleet.simulatorUrl}/_sim/faults`);
  const rules: unknown = await response.json();
  return (
    JSON.stringify(rules)
      .match(/"struck":(\d+)/g)
      ?.reduce((sum, each) => sum + Number(/\d+/.exec(each)?.[0]), 0) ?? 0
  );
}

const EXPIRED = { type: "error", name: "ExpiredTokenException", status: 403 };

/** A worker whose credentials are in a file of its own. */
async function startWithFile(fleet: Fleet, name: string, accessKey: string): Promise<Started> {
  const file = join(fleet.folder, name);
  await writeKey(file, accessKey);
  return fleet.startWorker(undefined, {
    AWS_ACCESS_KEY_ID: "",
    AWS_SHARED_CREDENTIALS_FILE: file,
    AWS_CONFIG_FILE: join(fleet.folder, "no-config"),
    AWS_EC2_METADATA_DISABLED: "true",
    // As they are outside of tests: on a busy machine a lock that was lost costs a call.
    SLUICE_LOCK_IN_HAND_MS: "15000",
    SLUICE_LOCK_CALL_MS: "90000",
    SLUICE_HEARTBEAT_TTL_MS: "10000",
  });
}

async function writeKey(file: string, accessKey: string): Promise<void> {
  await writeFile(file, `[default]\naws_access_key_id = ${accessKey}\naws_secret_access_key = any\n`);
}

const ENDED = { waiting: 0, delayed: 0, active: 0, failed: 0 };

test("expired credentials of the only worker kill no job of its one kind", async () => {
  const outageMs = Number(process.env["IDENTITY_OUTAGE_MS"] ?? 12_000);
  await using fleet = await startHere({ latencyMs: 200 });
  const worker = await fleet.startWorker();
  await addFault(fleet, { forMs: outageMs, fault: EXPIRED });
  const until = Date.now() + outageMs;
  const ids = await fleet.submit(Array.from({ length: 40 }, () => ({})));

  await worker.logged("the loss", ({ msg }) => msg === "identity:lost");
  await vi.waitFor(
    async () =>
      expect(await fleet.identities()).toMatchObject({
        workers: 1,
        lost: 1,
        errorClasses: ["ExpiredTokenException"],
      }),
    PATIENTLY,
  );
  await worker.logged("the find", ({ msg }) => msg === "identity:found");
  // The pause before a try is as long as the outage was by then, at most.
  expect(Date.now() - until).toBeLessThan(outageMs + 2_000);
  await vi.waitFor(async () => expect(await fleet.ends(ids)).toEqual(ids.map(() => "completed")), PATIENTLY);
  await vi.waitFor(async () => expect(await fleet.counts()).toEqual(ENDED), PATIENTLY);
  expect(await fleet.identities()).toMatchObject({ lost: 0 });
  // The calls that were under way with the first one, and then one at a time.
  expect(await struck(fleet)).toBeLessThanOrEqual(4 + Math.ceil(Math.log2(outageMs / 5_000 + 1)) + 1);
});

test("a credentials file that is written anew is used without a restart", async () => {
  await using fleet = await startHere({ latencyMs: 50 });
  const worker = await startWithFile(fleet, "credentials", "AKIDOLD");
  await addFault(fleet, { accessKey: "AKIDOLD", fault: EXPIRED });
  const ids = await fleet.submit(Array.from({ length: 10 }, () => ({})));
  await worker.logged("the loss", ({ msg }) => msg === "identity:lost");
  await writeKey(join(fleet.folder, "credentials"), "AKIDNEW");
  await worker.logged("the find", ({ msg }) => msg === "identity:found");
  await vi.waitFor(async () => expect(await fleet.ends(ids)).toEqual(ids.map(() => "completed")), PATIENTLY);
});

test("a worker without credentials leaves its jobs to the others, and the quota is used", async () => {
  const perMinute = 1_200;
  const poolKeys = { quota: { tokensPerMinute: 60_000_000, requestsPerMinute: perMinute } };
  await using fleet = await startHere({ latencyMs: 200, slots: 16, poolKeys });
  const lost = await startWithFile(fleet, "old", "AKIDOLD");
  await startWithFile(fleet, "new-1", "AKIDNEW");
  await startWithFile(fleet, "new-2", "AKIDNEW");
  await addFault(fleet, { accessKey: "AKIDOLD", fault: EXPIRED });
  const batches = Array.from({ length: 12 }, async () =>
    fleet.submit(Array.from({ length: 55 }, () => ({}))),
  );
  const ids = (await Promise.all(batches)).flat();
  await lost.logged("the loss", ({ msg }) => msg === "identity:lost");
  expect(lost.lines.filter(({ msg }) => msg === "identity:found")).toEqual([]);

  const from = Date.now() + 3_000;
  const to = from + 15_000;
  await vi.waitFor(() => expect(Date.now()).toBeGreaterThan(to), { timeout: 30_000, interval: 500 });
  // Else there was nothing to use it for.
  expect((await fleet.counts()).waiting).toBeGreaterThan(0);
  const calls = await fleet.calls();
  const answered = calls.filter(
    (call) => call.outcome === "completed" && call.startedAt >= from && call.startedAt < to,
  );
  expect(answered.length / ((perMinute * (to - from)) / 60_000)).toBeGreaterThanOrEqual(0.95);
  expect(await fleet.identities()).toMatchObject({ workers: 3, lost: 1 });
  await vi.waitFor(async () => expect(await fleet.ends(ids)).toEqual(ids.map(() => "completed")), PATIENTLY);
});

test("a worker without credentials fetches no jobs for a fallback that needs the same ones", async () => {
  const others = { spare: { model: "test.spare" } };
  await using fleet = await startHere({
    latencyMs: 50,
    poolKeys: { fallback: ["spare"] },
    otherPools: others,
  });
  const worker = await startWithFile(fleet, "credentials", "AKIDOLD");
  await addFault(fleet, { accessKey: "AKIDOLD", fault: EXPIRED });
  const ids = await fleet.submit(Array.from({ length: 20 }, () => ({})));
  await worker.logged("the loss", ({ msg }) => msg === "identity:lost");
  // The first renewal follows at once, the second after 5 s. Jobs that were handed back come again after 1 s.
  const to = Date.now() + 4_000;
  await vi.waitFor(() => expect(Date.now()).toBeGreaterThan(to), PATIENTLY);
  const handedBack = worker.lines.filter(({ msg }) => msg === "job:deferred").length;
  // What was in hand each time that there were none: no more than the slots.
  expect(handedBack).toBeLessThanOrEqual(3 * 4);
  await writeKey(join(fleet.folder, "credentials"), "AKIDNEW");
  await vi.waitFor(async () => expect(await fleet.ends(ids)).toEqual(ids.map(() => "completed")), PATIENTLY);
});
