import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  CreateTableCommand,
  DynamoDBClient,
  GetItemCommand,
  ListTablesCommand,
  PutItemCommand,
  waitUntilTableExists,
} from "@aws-sdk/client-dynamodb";
import { afterEach, beforeEach, expect, inject, test } from "vitest";
import { startDynamoDb } from "../src/index.ts";
import { isAlive } from "./processes.ts";

let dataDir: string;
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "sluice-test-"));
});
afterEach(async () => {
  await rm(dataDir, { recursive: true });
});

function client(endpoint: string): DynamoDBClient {
  const credentials = { accessKeyId: "local", secretAccessKey: "local" };
  return new DynamoDBClient({ endpoint, region: "us-east-1", credentials });
}

test("the DynamoDB of the integration tests answers", async () => {
  const { TableNames } = await client(inject("dynamoDbUrl")).send(new ListTablesCommand({}));
  expect(TableNames).toBeInstanceOf(Array);
});

test("comes back on the same port with its data after a crash", async () => {
  await using dynamoDb = await startDynamoDb({ dataDir });
  const { url, pid } = dynamoDb;
  const before = client(url);
  await before.send(
    new CreateTableCommand({
      TableName: "kept",
      BillingMode: "PAY_PER_REQUEST",
      AttributeDefinitions: [{ AttributeName: "id", AttributeType: "S" }],
      KeySchema: [{ AttributeName: "id", KeyType: "HASH" }],
    }),
  );
  // Even with no delay set, dynalite answers before the table is there, as the real one does.
  await waitUntilTableExists(
    { client: before, maxWaitTime: 10, minDelay: 1, maxDelay: 1 },
    { TableName: "kept" },
  );
  await before.send(new PutItemCommand({ TableName: "kept", Item: { id: { S: "one" } } }));
  before.destroy();
  await dynamoDb.kill();
  expect(isAlive(pid)).toBe(false);
  await dynamoDb.restart();
  expect(dynamoDb.url).toBe(url);
  const after = client(url);
  const { Item } = await after.send(new GetItemCommand({ TableName: "kept", Key: { id: { S: "one" } } }));
  expect(Item).toEqual({ id: { S: "one" } });
  // Its connection is still open: stopping must not wait for it.
  await dynamoDb.stop();
  expect(isAlive(dynamoDb.pid)).toBe(false);
  after.destroy();
});
