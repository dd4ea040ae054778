/** Each role's whole work, watched on the wire: its policy in the template allows exactly what it asked for. */
import { randomUUID } from "node:crypto";
import { CreateTableCommand, DeleteTableCommand } from "@aws-sdk/client-dynamodb";
import { replayId } from "@sluice/job";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import {
  connectDynamoDb,
  createDynamoDbStore,
  ensureTable,
  tableDefinition,
  type DeadLetterStore,
  type DynamoDbStore,
} from "../src/index.ts";
import { death, HOUR, incompressiblePayload, requestPayload, T0 } from "./given.ts";
import { allowedBy } from "./template.ts";
import { wireTo, type Wire } from "./wire.ts";

const emulator = {
  region: "eu-central-1",
  credentials: { accessKeyId: "test", secretAccessKey: "test" },
};
const client = connectDynamoDb({ ...emulator, endpoint: inject("dynamoDbUrl") });
const tableName = `dead-letters-${randomUUID()}`;
const lane = { pool: "claude", lane: "standard" };
const large = { data: { payload: incompressiblePayload(500_000) } };

let wire: Wire;
let store: DynamoDbStore;

beforeAll(async () => {
  await ensureTable({ client, tableName });
  wire = await wireTo(inject("dynamoDbUrl"));
  store = createDynamoDbStore({ ...emulator, endpoint: wire.url, tableName });
});

afterAll(async () => {
  store.close();
  await wire.close();
  for (const name of [tableName, `${tableName}-foreign`]) {
    await client.send(new DeleteTableCommand({ TableName: name }));
  }
  client.destroy();
});

/** What was asked while `work` ran, as a policy would have to allow it. */
async function asked(work: () => Promise<unknown>): Promise<string[]> {
  const before = wire.requests.length;
  await work();
  const requests = wire.requests
    .slice(before)
    .map(({ operation, body }) => [operation, body["IndexName"]].filter(Boolean).join(" "));
  return [...new Set(requests)].toSorted();
}

/** A large dead letter, put by somebody else. */
async function given(): Promise<{ id: string; revision: string }> {
  const direct = createDynamoDbStore({ client, tableName });
  const died = death(large);
  await direct.put(died);
  const { revision = "" } = (await direct.get(died.data.id)) ?? {};
  return { id: died.data.id, revision };
}

async function workerWorks(letters: DeadLetterStore): Promise<void> {
  const died = death(large);
  const { id } = died.data;
  await letters.put(died);
  await letters.put({ ...died, diedAt: T0 + HOUR, data: { ...died.data, payload: requestPayload("Other") } });
  await letters.claim(id, { by: "reconciler", replays: 0, leaseMs: 1 });
  await letters.list({ state: "replaying", by: { lane }, limit: 10 });
  const again = { ...died, data: { ...died.data, id: replayId(id, 1) } };
  await letters.put(again);
  await letters.resolve(again.data.id);
  await letters.count({ state: "dead", by: { lane } });
}

describe("least privilege", () => {
  it("holds for the worker", async () => {
    expect(await asked(() => workerWorks(store))).toEqual(allowedBy("WorkerPolicy"));
  });

  it("holds for the board", async () => {
    const { id, revision } = await given();
    const other = await given();
    const requests = await asked(async () => {
      await store.classes();
      for (const by of [{ errorClass: "ValidationException" }, { lane }, { tenant: "acme" }]) {
        await store.list({ state: "dead", by, limit: 10 });
        await store.count({ state: "dead", by });
      }
      await store.get(id);
      await store.edit(id, { by: "ann", revision, payload: requestPayload("Shorter") });
      await store.park(id, { by: "ann" });
      await store.claim(id, { by: "ann", replays: 0, leaseMs: HOUR });
      await store.purge(other.id, { revision: other.revision });
    });
    expect(requests).toEqual(allowedBy("BoardPolicy"));
  });

  it("holds for the API, which reads and nothing else", async () => {
    const { id } = await given();
    const requests = await asked(async () => {
      await store.look(id);
      await store.look(`${id}.r1`);
      await store.look("p.bulk.none");
    });
    expect(requests).toEqual(allowedBy("ApiPolicy"));
    expect(requests.filter((request) => !/^(Get|BatchGet|Query)/.test(request))).toEqual([]);
  });

  it("names all operations there are: no Scan, no transaction", () => {
    const policies = ["WorkerPolicy", "BoardPolicy", "ApiPolicy"] as const;
    const allowed = new Set(policies.flatMap(allowedBy).map((line) => line.split(" ")[0] ?? ""));
    expect([...allowed].toSorted()).toEqual([
      "BatchGetItem",
      "DeleteItem",
      "GetItem",
      "PutItem",
      "Query",
      "UpdateItem",
    ]);
  });
});

describe("ensureTable", () => {
  const name = `${tableName}-foreign`;

  it("creates the table once, also when several ask at once", async () => {
    const fresh = `dead-letters-${randomUUID()}`;
    const reports = await Promise.all([1, 2, 3].map(() => ensureTable({ client, tableName: fresh })));
    expect(reports.filter(({ table }) => table === "created")).toHaveLength(1);
    for (const report of reports) expect(report.differences).toEqual([]);
    await client.send(new DeleteTableCommand({ TableName: fresh }));
  });

  it("only looks at a table that is as defined", async () => {
    const requests = await asked(() => ensureTable({ ...emulator, endpoint: wire.url, tableName }));
    // Where time to live is already on, as in the template, there is nothing to update.
    expect(requests.filter((request) => request !== "UpdateTimeToLive")).toEqual(allowedBy("CheckPolicy"));
  });

  it("reports how another table differs and leaves it alone", async () => {
    const { GlobalSecondaryIndexes = [], ...rest } = tableDefinition(name);
    const [byClass, byLane] = GlobalSecondaryIndexes;
    const indexes = [byClass, byLane].filter((index) => index !== undefined);
    const attributes = rest.AttributeDefinitions?.filter(({ AttributeName }) => AttributeName !== "byTenant");
    const foreign = { ...rest, AttributeDefinitions: attributes, GlobalSecondaryIndexes: indexes };
    await client.send(new CreateTableCommand(foreign));
    const requests = await asked(async () => {
      const report = await ensureTable({ ...emulator, endpoint: wire.url, tableName: name });
      expect(report).toMatchObject({ table: "found", timeToLive: "unchecked" });
      expect(report.differences).toContain(
        "Expected the key of index 'byTenant' to be byTenant (HASH), at (RANGE), got missing",
      );
    });
    expect(requests).toEqual(["DescribeTable"]);
  });

  it("rejects as unavailable when nobody is there", async () => {
    const nobody = { ...emulator, endpoint: "http://127.0.0.1:9", tableName, maxAttempts: 1 };
    await expect(ensureTable(nobody)).rejects.toMatchObject({ code: "unavailable" });
  });
});
