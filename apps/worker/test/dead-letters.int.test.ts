/** Dead jobs on their way to DynamoDB, while it is there and while it is not; and what the logs say of them. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startDynamoDb } from "@sluice/services";
import { expect, inject, test, vi } from "vitest";
import { MARKER, PATIENTLY, startFleet } from "./fleet.ts";

vi.setConfig({ testTimeout: 60_000 });

test("without DynamoDB a dead job waits in the failed set; it is moved once DynamoDB is back", async () => {
  const folder = await mkdtemp(join(tmpdir(), "sluice-test-"));
  await using dynamoDb = await startDynamoDb({ dataDir: folder });
  await using fleet = await startFleet({
    redisUrl: inject("redisUrl"),
    dynamoDbUrl: dynamoDb.url,
    latencyMs: 50,
  });
  const worker = await fleet.startWorker();
  await dynamoDb.kill();
  const [dead = "", alive = ""] = await fleet.submit([{ fault: "ValidationException" }, {}]);

  const blocked = await worker.logged("the blockage", ({ msg }) => msg === "dead-letter:blocked");
  expect(blocked).toMatchObject({ waiting: 1 });
  await vi.waitFor(
    async () => expect(await fleet.counts()).toMatchObject({ waiting: 0, active: 0, failed: 1 }),
    PATIENTLY,
  );
  expect(await fleet.ends([dead, alive])).toEqual([undefined, "completed"]);

  await dynamoDb.restart();
  await vi.waitFor(async () => expect(await fleet.ends([dead])).toEqual(["dead"]), PATIENTLY);
  await worker.logged("the move", ({ msg, id }) => msg === "dead-letter:stored" && id === dead);
  expect(await fleet.counts()).toEqual({ waiting: 0, delayed: 0, active: 0, failed: 0 });
  expect(await fleet.deadLetters.get(dead)).toMatchObject({
    state: "dead",
    deaths: 1,
    failure: { errorClass: "ValidationException", status: 400 },
  });
  await rm(folder, { recursive: true, force: true });
});

test("no log line has text of a prompt, not even when Bedrock's own message quotes it", async () => {
  await using fleet = await startFleet({
    redisUrl: inject("redisUrl"),
    dynamoDbUrl: inject("dynamoDbUrl"),
    latencyMs: 50,
  });
  const quoting = {
    prompt: "[[sim:quoted]]",
    fault: { type: "error", name: "ValidationException", message: `The text "${MARKER}" is not allowed` },
  };
  const set = await fetch(`${fleet.simulatorUrl}/_sim/faults`, {
    method: "POST",
    body: JSON.stringify(quoting),
  });
  expect(set.status).toBe(200);
  const worker = await fleet.startWorker();
  const faults = [
    "quoted",
    "content_filtered",
    "ValidationException",
    "InternalServerException*1",
    "reset*1",
  ];
  const ids = await fleet.submit([{}, ...faults.map((fault) => ({ fault }))]);
  await vi.waitFor(
    async () =>
      expect(await fleet.ends(ids)).toEqual([
        "completed",
        "dead",
        "filtered",
        "dead",
        "completed",
        "completed",
      ]),
    PATIENTLY,
  );

  worker.kill("SIGTERM");
  expect(await worker.exit).toEqual({ code: 0, signal: null });
  for (const event of ["job:completed", "job:filtered", "job:dead", "job:retry", "dead-letter:stored"]) {
    expect(worker.text).toContain(`"msg":"${event}"`);
  }
  expect(worker.text).not.toContain(MARKER);
  const { failure } = (await fleet.deadLetters.get(ids[1] ?? "")) ?? {};
  expect(failure?.message).toMatch(/^The text …/);
});
