/** What one process or one pool cannot do is nobody else's loss, on real processes. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, inject, test, vi } from "vitest";
import { PATIENTLY, startFleet, type Fleet, type FleetOptions } from "./fleet.ts";

vi.setConfig({ testTimeout: 120_000 });

const PER_MINUTE = 1_200;

/** As they are outside of tests: on a busy machine a lock that was lost costs a call. */
const PATIENT = {
  SLUICE_LOCK_IN_HAND_MS: "15000",
  SLUICE_LOCK_CALL_MS: "90000",
  SLUICE_HEARTBEAT_TTL_MS: "10000",
};

function startHere(options: Partial<FleetOptions>) {
  const poolKeys = { quota: { tokensPerMinute: 60_000_000, requestsPerMinute: PER_MINUTE } };
  return startFleet({
    redisUrl: inject("redisUrl"),
    dynamoDbUrl: inject("dynamoDbUrl"),
    slots: 32,
    latencyMs: 1_000,
    poolKeys,
    ...options,
  });
}

async function submitMany(fleet: Fleet, batches: number): Promise<string[]> {
  const each = Array.from({ length: batches }, async () =>
    fleet.submit(Array.from({ length: 55 }, () => ({}))),
  );
  return (await Promise.all(each)).flat();
}

/** Calls answered from now on, as a part of what the quota gives. */
async function quotaUse(fleet: Fleet, forMs: number): Promise<number> {
  const from = Date.now();
  const to = from + forMs;
  await vi.waitFor(() => expect(Date.now()).toBeGreaterThan(to + 1_500), {
    timeout: forMs + 10_000,
    interval: 500,
  });
  // Else there was nothing to use it for.
  expect((await fleet.counts()).waiting).toBeGreaterThan(0);
  const calls = await fleet.calls();
  const answered = calls.filter(
    (call) => call.outcome === "completed" && call.startedAt >= from && call.startedAt < to,
  );
  return answered.length / ((PER_MINUTE * forMs) / 60_000);
}

test("a worker that cannot connect leaves its jobs to the others, and the quota is used", async () => {
  await using fleet = await startHere({});
  await Promise.all([fleet.startWorker(undefined, PATIENT), fleet.startWorker(undefined, PATIENT)]);
  await submitMany(fleet, 10);
  const unreached = { ...PATIENT, AWS_ENDPOINT_URL_BEDROCK_RUNTIME: "http://127.0.0.1:9" };
  const lost = await fleet.startWorker(undefined, unreached);
  await lost.logged("the loss", ({ msg }) => msg === "way:lost");
  expect(await quotaUse(fleet, 8_000)).toBeGreaterThanOrEqual(0.95);
  expect(await fleet.identities()).toEqual({
    workers: 3,
    lost: 0,
    errorClasses: [],
    unreached: { workers: 1, errorClasses: ["ConnectionError"] },
  });
  expect(fleet.log()).not.toContain('"msg":"job:dead"');
  expect(fleet.log()).not.toContain('"msg":"breaker:changed"');
  expect(fleet.log()).not.toContain('"msg":"way:found"');
});

test("signatures of one pool that are refused stop no other pool", async () => {
  await using fleet = await startHere({ otherPools: { bad: { model: "test.bad" } } });
  const refusing = { type: "error", name: "InvalidSignatureException", status: 403 };
  await fetch(`${fleet.simulatorUrl}/_sim/faults`, {
    method: "POST",
    body: JSON.stringify({ model: "test.bad", fault: refusing }),
  });
  const worker = await fleet.startWorker(undefined, PATIENT);
  const bad = await fleet.submit(Array.from({ length: 10 }, () => ({ pool: "bad" })));
  await worker.logged("the loss", ({ msg }) => msg === "identity:lost");
  await submitMany(fleet, 9);
  await worker.logged("the find", ({ msg }) => msg === "identity:found");
  expect(await quotaUse(fleet, 8_000)).toBeGreaterThanOrEqual(0.95);
  // What came before the first call of the good pool.
  const told = worker.lines.filter(({ msg }) => msg === "identity:lost" || msg === "identity:found");
  expect(told).toHaveLength(2);
  expect(await fleet.ends(bad)).toEqual(bad.map(() => undefined));
});

test("a backlog that this worker can make no call for stays where others find it", async () => {
  await using fleet = await startHere({
    latencyMs: 50,
    poolKeys: { fallback: ["spare"] },
    otherPools: { spare: { model: "test.spare", scope: "other" } },
    scopeKeys: { profile: "gone" },
    otherScopes: { other: { region: "eu-west-1", profile: "fine" } },
  });
  const credentials = join(fleet.folder, "credentials");
  await writeFile(credentials, "[fine]\naws_access_key_id = a\naws_secret_access_key = b\n");
  await fetch(`${fleet.simulatorUrl}/_sim/faults`, {
    method: "POST",
    body: JSON.stringify({
      model: "test.spare",
      fault: { type: "error", name: "ThrottlingException", retryAfterSeconds: 240 },
    }),
  });
  await submitMany(fleet, 8);
  const worker = await fleet.startWorker(undefined, {
    ...PATIENT,
    AWS_ACCESS_KEY_ID: "",
    AWS_SHARED_CREDENTIALS_FILE: credentials,
    AWS_CONFIG_FILE: join(fleet.folder, "no-config"),
    AWS_EC2_METADATA_DISABLED: "true",
  });
  await worker.logged("the hold", ({ msg }) => msg === "pool:held");
  const handedBack = (): number =>
    worker.lines.filter(({ msg, reason }) => msg === "job:deferred" && reason === "no-identity").length;
  await vi.waitFor(() => expect(handedBack()).toBeGreaterThan(0), PATIENTLY);
  const before = handedBack();
  const to = Date.now() + 6_000;
  await vi.waitFor(() => expect(Date.now()).toBeGreaterThan(to), { timeout: 30_000, interval: 500 });
  // What was read ahead each time, about once a second: some hundreds a second before.
  expect(handedBack() - before).toBeLessThan(6 * 10);
});
