/** What only the store on DynamoDB has to get right: faults on the wire, parts, damage, and how it asks. */
import { createHash, randomUUID } from "node:crypto";
import { gzipSync } from "node:zlib";
import {
  DeleteItemCommand,
  DeleteTableCommand,
  PutItemCommand,
  QueryCommand,
  UpdateItemCommand,
} from "@aws-sdk/client-dynamodb";
import { afterAll, afterEach, beforeAll, describe, expect, inject, it, vi } from "vitest";
import {
  connectDynamoDb,
  createDynamoDbStore,
  ensureTable,
  isDeadLetterError,
  searchLetters,
  type StoreOptions,
} from "../src/index.ts";
import { batchGet } from "../src/dynamodb/client.ts";
import {
  clockAt,
  death,
  HOUR,
  incompressiblePayload,
  MINUTE,
  requestPayload,
  T0,
  tenantOf,
} from "./given.ts";
import { once, wireTo, writesLetter, type Wire } from "./wire.ts";

const emulator = {
  region: "eu-central-1",
  credentials: { accessKeyId: "test", secretAccessKey: "test" },
};
const direct = connectDynamoDb({ ...emulator, endpoint: inject("dynamoDbUrl") });
const tableName = `dead-letters-${randomUUID()}`;
const LARGE = 500_000;
const CLAIM = { by: "ann", replays: 0, leaseMs: MINUTE };

let wire: Wire;
const closing: (() => void)[] = [];

beforeAll(async () => {
  await ensureTable({ client: direct, tableName });
  wire = await wireTo(inject("dynamoDbUrl"));
});

afterEach(() => {
  wire.treat(() => "pass");
  for (const close of closing.splice(0)) close();
});

afterAll(async () => {
  await wire.close();
  await direct.send(new DeleteTableCommand({ TableName: tableName }));
  direct.destroy();
});

/** A store whose requests go over the wire under test. */
function makeStore(options: StoreOptions & { requestTimeoutMs?: number; maxAttempts?: number } = {}) {
  const store = createDynamoDbStore({ ...emulator, endpoint: wire.url, tableName, ...options });
  closing.push(store.close);
  return store;
}

/** Everything stored under a record's id. */
async function itemsOf(id: string) {
  const query = new QueryCommand({
    TableName: tableName,
    ConsistentRead: true,
    KeyConditionExpression: "id = :id",
    ExpressionAttributeValues: { ":id": { S: id } },
  });
  return (await direct.send(query)).Items ?? [];
}

async function partsOf(id: string) {
  return (await itemsOf(id)).map((item) => item["item"]?.S ?? "").filter((key) => key !== "letter");
}

/** Changes a letter behind the back of the store. */
const set = async (id: string, change: string, values: object): Promise<void> => {
  const Key = { id: { S: id }, item: { S: "letter" } };
  const more = { ExpressionAttributeValues: { ...values } };
  await direct.send(
    new UpdateItemCommand({
      TableName: tableName,
      Key,
      UpdateExpression: change,
      ...(change.startsWith("SET") ? more : {}),
    }),
  );
};

describe("an answer that got lost", () => {
  it("does not make a death look stored by somebody else", async () => {
    const store = makeStore();
    const died = death();
    wire.treat(once(writesLetter, "lose-answer"));
    expect(await store.put(died)).toBe("stored");
    expect(await store.get(died.data.id)).toMatchObject({ deaths: 1 });
  });

  it("does not lose a claim to its own echo", async () => {
    const store = makeStore();
    const died = death();
    await store.put(died);
    wire.treat(once(writesLetter, "lose-answer"));
    expect(await store.claim(died.data.id, CLAIM)).toMatchObject({ outcome: "claimed" });
    expect(await store.get(died.data.id)).toMatchObject({ replays: 1 });
  });

  it("does not leave a purge half done", async () => {
    const store = makeStore();
    const died = death({ data: { payload: incompressiblePayload(LARGE) } });
    await store.put(died);
    const { revision = "" } = (await store.get(died.data.id)) ?? {};
    wire.treat(once(({ operation }) => operation === "DeleteItem", "lose-answer"));
    expect(await store.purge(died.data.id, { revision })).toMatchObject({ outcome: "done" });
    expect(await itemsOf(died.data.id)).toEqual([]);
  });
});

describe("a store that does not answer", () => {
  it.each(["refuse", "hang"] as const)("rejects as unavailable within its time: %s", async (treatment) => {
    const store = makeStore({ requestTimeoutMs: 100, maxAttempts: 2 });
    wire.treat(() => treatment);
    const calls = [
      store.put(death()),
      store.get(death().data.id),
      store.list({ state: "dead", by: { tenant: "acme" }, limit: 1 }),
      store.count({ state: "dead", by: { tenant: "acme" } }),
      store.claim(death().data.id, CLAIM),
    ];
    for (const call of await Promise.allSettled(calls)) {
      expect(call).toMatchObject({ status: "rejected", reason: { code: "unavailable" } });
    }
  });

  it("rejects as misconfigured when there is no such table, and says what to do", async () => {
    const store = createDynamoDbStore({ client: direct, tableName: "nowhere" });
    await expect(store.put(death())).rejects.toMatchObject({
      code: "misconfigured",
      message: expect.stringMatching(
        /^DynamoDB could not use table 'nowhere': ResourceNotFoundException.*There is no such table in this Region/,
      ),
    });
  });

  it("says of a host without an address that its Region may not exist, and of no Region that one is to be set", async () => {
    const credentials = { accessKeyId: "local", secretAccessKey: "local" };
    const nowhere = createDynamoDbStore({
      tableName: "letters",
      region: "us-east-9",
      credentials,
      maxAttempts: 1,
      endpoint: "http://dynamodb.us-east-9.invalid",
    });
    await expect(nowhere.check()).rejects.toMatchObject({
      message: expect.stringMatching(/^DynamoDB could not use table 'letters': .*The Region may not exist/),
    });
    nowhere.close();
    vi.stubEnv("AWS_REGION", undefined);
    vi.stubEnv("AWS_CONFIG_FILE", "/dev/null");
    const unset = createDynamoDbStore({ tableName: "letters", credentials });
    await expect(unset.check()).rejects.toMatchObject({
      code: "misconfigured",
      message: expect.stringMatching(/^DynamoDB could not use table 'letters': .*Set AWS_REGION/),
    });
    unset.close();
    vi.unstubAllEnvs();
  });
});

describe("large data", () => {
  it("is written before the letter, and a crash in between leaves nothing that the next try minds", async () => {
    const store = makeStore({ maxAttempts: 1 });
    const died = death({ data: { payload: incompressiblePayload(LARGE) } });
    wire.treat((request) => (writesLetter(request) ? "refuse" : "pass"));
    await expect(store.put(died)).rejects.toMatchObject({ code: "unavailable" });
    const parts = await partsOf(died.data.id);
    expect(parts.length).toBeGreaterThan(1);
    expect(await store.get(died.data.id)).toBeUndefined();
    wire.treat(() => "pass");
    expect(await store.put(died)).toBe("stored");
    expect(await partsOf(died.data.id)).toEqual(parts);
    expect((await store.get(died.data.id))?.data).toEqual(died.data);
  });

  it("stays with its letter until the next death is committed, and is then deleted", async () => {
    const store = makeStore({ maxAttempts: 1 });
    const first = death({ data: { payload: incompressiblePayload(LARGE) } });
    const second = death({ data: { ...first.data, payload: requestPayload("Shorter") }, diedAt: T0 + HOUR });
    await store.put(first);
    wire.treat((request) => (writesLetter(request) ? "refuse" : "pass"));
    await expect(store.put(second)).rejects.toMatchObject({ code: "unavailable" });
    wire.treat(() => "pass");
    expect((await store.get(first.data.id))?.data).toEqual(first.data);
    await store.put(second);
    expect(await partsOf(first.data.id)).toEqual([]);
    expect((await store.get(first.data.id))?.data).toEqual(second.data);
  });

  it("is purged with what an edit that crashed has left behind", async () => {
    const store = makeStore({ maxAttempts: 1 });
    const died = death();
    await store.put(died);
    const { revision = "" } = (await store.get(died.data.id)) ?? {};
    wire.treat((request) => (writesLetter(request) ? "refuse" : "pass"));
    const edit = { by: "ann", revision, payload: incompressiblePayload(LARGE) };
    await expect(store.edit(died.data.id, edit)).rejects.toMatchObject({ code: "unavailable" });
    wire.treat(() => "pass");
    expect(await partsOf(died.data.id)).not.toEqual([]);
    await store.purge(died.data.id, { revision });
    expect(await itemsOf(died.data.id)).toEqual([]);
  });

  it("expires with its letter, also when a crash came between the two", async () => {
    const store = makeStore({ ...clockAt(T0), retentionMs: HOUR, maxAttempts: 1 });
    const died = death({ data: { payload: incompressiblePayload(LARGE) } });
    await store.put(died);
    wire.treat(({ operation }) => (operation === "UpdateItem" ? "refuse" : "pass"));
    await expect(store.resolve(died.data.id)).rejects.toMatchObject({ code: "unavailable" });
    wire.treat(() => "pass");
    expect(await store.resolve(died.data.id)).toEqual({ outcome: "already-done" });
    const times = (await itemsOf(died.data.id)).map((item) => item["ttl"]?.N);
    expect(times.length).toBeGreaterThan(2);
    expect(new Set(times)).toEqual(new Set([String((T0 + HOUR) / 1000)]));
  });

  it("is read in several batches when it is longer than one batch may be", async () => {
    const id = `batches-${randomUUID()}`;
    const keys = Array.from({ length: 45 }, (_, n) => ({ id: { S: id }, item: { S: `part${n}` } }));
    const bytes = { B: Buffer.alloc(390_000) };
    for (const key of keys) {
      await direct.send(new PutItemCommand({ TableName: tableName, Item: { ...key, bytes } }));
    }
    // More than the 16 MB that one BatchGetItem answers with.
    const items = await batchGet(direct, tableName, keys);
    expect(new Set(items.map((item) => item["item"]?.S))).toEqual(new Set(keys.map(({ item }) => item.S)));
  });
});

/** A letter with large data that something has happened to. */
async function damaged(damage: (id: string, part: string) => Promise<unknown>) {
  const store = makeStore();
  const died = death({ data: { payload: incompressiblePayload(LARGE) } });
  await store.put(died);
  const [part = ""] = await partsOf(died.data.id);
  await damage(died.data.id, part);
  return { store, id: died.data.id };
}

describe("damage", () => {
  it.each([
    [
      "a part with other bytes",
      (id: string, part: string) => {
        const Item = { id: { S: id }, item: { S: part }, bytes: { B: Buffer.from("other") } };
        return direct.send(new PutItemCommand({ TableName: tableName, Item }));
      },
    ],
    [
      "a part that is gone",
      (id: string, part: string) => {
        const Key = { id: { S: id }, item: { S: part } };
        return direct.send(new DeleteItemCommand({ TableName: tableName, Key }));
      },
    ],
  ])("is told, and what is damaged is not claimed: %s", async (_, damage) => {
    const { store, id } = await damaged(damage);
    await expect(store.get(id)).rejects.toMatchObject({ code: "corrupt" });
    expect(await store.claim(id, CLAIM)).toEqual({ outcome: "refused", reason: "unreadable" });
    expect(await store.look(id)).toMatchObject({ id, state: "dead" });
    const letter = (await itemsOf(id)).find((item) => item["item"]?.S === "letter");
    expect(letter?.["state"]).toEqual({ S: "dead" });
  });

  it("is told when the bytes are sound but not those that were written", async () => {
    const store = makeStore();
    const died = death({ data: { payload: requestPayload("Mine") } });
    await store.put(died);
    const other = { ...died.data, payload: requestPayload("Less") };
    const swap = new UpdateItemCommand({
      TableName: tableName,
      Key: { id: { S: died.data.id }, item: { S: "letter" } },
      UpdateExpression: "SET body.gzip = :gzip",
      ExpressionAttributeValues: { ":gzip": { B: gzipSync(JSON.stringify(other)) } },
    });
    await direct.send(swap);
    await expect(store.get(died.data.id)).rejects.toMatchObject({ code: "corrupt" });
  });

  it("is another matter than a newer version: its letters and bodies are listed, and neither claimed nor changed", async () => {
    const store = makeStore();
    const tenant = `newer-${randomUUID().slice(0, 8)}`;
    const [letter, body, old] = [
      death({ data: { tenant } }),
      death({ data: { tenant } }),
      death({ data: { tenant } }),
    ];
    for (const died of [letter, body, old]) await store.put(died);
    await set(letter.data.id, "SET version = :v", { ":v": { N: "2" } });
    const json = JSON.stringify({ ...body.data, version: 2, payload: "?" });
    const sha256 = createHash("sha256").update(json).digest("hex");
    await set(body.data.id, "SET body.gzip = :gzip, body.sha256 = :sha, body.bytes = :bytes", {
      ":gzip": { B: gzipSync(json) },
      ":sha": { S: sha256 },
      ":bytes": { N: String(Buffer.byteLength(json)) },
    });
    // As a version wrote it that knew no versions.
    await set(old.data.id, "REMOVE version", {});

    const page = await store.list({ state: "dead", by: { tenant }, limit: 10 });
    expect(page.items.map(({ id }) => id).toSorted()).toEqual([body.data.id, old.data.id].toSorted());
    expect(page.unreadable).toEqual([letter.data.id]);
    for (const { data } of [letter, body]) {
      const before = await itemsOf(data.id);
      await expect(store.get(data.id)).rejects.toMatchObject({ code: "newer" });
      await expect(store.claim(data.id, CLAIM)).rejects.toMatchObject({ code: "newer" });
      expect(await itemsOf(data.id)).toEqual(before);
    }
    await expect(store.purge(letter.data.id, { revision: "any" })).rejects.toMatchObject({ code: "newer" });
    expect(await store.claim(old.data.id, CLAIM)).toMatchObject({
      outcome: "claimed",
      letter: { version: 1 },
    });
  });

  it("of a letter itself hides no other, and the letter can be purged by the revision that the error names", async () => {
    const store = makeStore();
    const tenant = `damaged-${randomUUID().slice(0, 8)}`;
    const deaths = [death({ data: { tenant } }), death({ data: { tenant } }), death({ data: { tenant } })];
    for (const died of deaths) await store.put(died);
    const id = deaths[1]?.data.id ?? "";
    const ruin = new UpdateItemCommand({
      TableName: tableName,
      Key: { id: { S: id }, item: { S: "letter" } },
      UpdateExpression: "SET deaths = :text",
      ExpressionAttributeValues: { ":text": { S: "many" } },
    });
    await direct.send(ruin);
    const page = await store.list({ state: "dead", by: { tenant }, limit: 10 });
    const others = deaths.map(({ data }) => data.id).filter((each) => each !== id);
    expect(page.items.map((letter) => letter.id).toSorted()).toEqual(others.toSorted());
    expect(page.unreadable).toEqual([id]);
    // All three died at one moment, so which page the damaged one is on is a matter of chance.
    const found = await searchLetters(store, { groups: [{ tenant }], states: ["dead"], limit: 10 });
    expect(found).toMatchObject({ lookedAt: 2, unreadable: [id] });

    expect(await store.claim(id, CLAIM)).toEqual({ outcome: "refused", reason: "unreadable" });
    const error: unknown = await store.look(id).catch((caught: unknown) => caught);
    if (!isDeadLetterError(error)) throw new Error("Expected the letter to be refused");
    expect(error).toMatchObject({ code: "corrupt", revision: expect.any(String) });
    expect(await store.purge(id, { revision: "another" })).toEqual({ outcome: "refused", reason: "changed" });
    expect(await store.purge(id, { revision: error.revision ?? "" })).toEqual({ outcome: "done" });
    expect(await store.look(id)).toBeUndefined();
  });

  it("does not hide the letter: it can be annotated and purged", async () => {
    const { store, id } = await damaged((_id, part) =>
      direct.send(
        new DeleteItemCommand({ TableName: tableName, Key: { id: { S: _id }, item: { S: part } } }),
      ),
    );
    const noted = await store.note(id, { by: "ann", note: "Damaged" });
    const revision = noted.outcome === "done" ? noted.letter.revision : "";
    expect(await store.purge(id, { revision })).toMatchObject({ outcome: "done" });
  });
});

describe("indexes", () => {
  it("are not believed: letters that moved are left out and the page is filled up", async () => {
    const store = makeStore();
    const tenant = tenantOf("stale");
    const deaths = [0, 1, 2, 3].map((minute) => death({ data: { tenant }, diedAt: T0 + minute * MINUTE }));
    for (const each of deaths) await store.put(each);
    // An entry as an index that lags behind would show it: the letter itself is another tenant's.
    const moved = new UpdateItemCommand({
      TableName: tableName,
      Key: { id: { S: deaths[3]?.data.id ?? "" }, item: { S: "letter" } },
      UpdateExpression: "SET tenant = :other",
      ExpressionAttributeValues: { ":other": { S: "other" } },
    });
    await direct.send(moved);
    const page = await store.list({ state: "dead", by: { tenant }, limit: 2 });
    expect(page.items.map(({ id }) => id)).toEqual([deaths[2]?.data.id, deaths[1]?.data.id]);
  });

  it("are asked until they have answered in full", async () => {
    const store = makeStore();
    const tenant = tenantOf("loops");
    for (let minute = 0; minute < 12; minute++) {
      await store.put(death({ data: { tenant }, diedAt: T0 + minute * MINUTE }));
    }
    // A page of DynamoDB ends at 1 MB; here after five entries.
    wire.treat(({ operation, body }) => (operation === "Query" ? { ...body, Limit: 5 } : "pass"));
    const query = { state: "dead", by: { tenant } } as const;
    expect(await store.count(query)).toBe(12);
    expect((await store.list({ ...query, limit: 11 })).items).toHaveLength(11);
    expect(await store.classes()).toContain("ValidationException");
  });

  it("hold no prompts", async () => {
    const { store, tenant } = { store: makeStore(), tenant: tenantOf("keys") };
    await store.put(death({ data: { tenant } }));
    const query = new QueryCommand({
      TableName: tableName,
      IndexName: "byTenant",
      KeyConditionExpression: "byTenant = :key",
      ExpressionAttributeValues: { ":key": { S: `${tenant}#dead` } },
    });
    const [entry = {}] = (await direct.send(query)).Items ?? [];
    expect(Object.keys(entry).toSorted()).toEqual(["at", "byTenant", "id", "item"]);
  });
});
