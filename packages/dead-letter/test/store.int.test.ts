import { randomUUID } from "node:crypto";
import { DeleteTableCommand } from "@aws-sdk/client-dynamodb";
import { afterAll, beforeAll, describe, inject } from "vitest";
import { connectDynamoDb, createDynamoDbStore, ensureTable } from "../src/index.ts";
import { deadLetterStoreSuite } from "./store.suite.ts";

const client = connectDynamoDb({
  endpoint: inject("dynamoDbUrl"),
  region: "eu-central-1",
  credentials: { accessKeyId: "test", secretAccessKey: "test" },
});
const tableName = `dead-letters-${randomUUID()}`;

beforeAll(async () => {
  await ensureTable({ client, tableName });
});

afterAll(async () => {
  await client.send(new DeleteTableCommand({ TableName: tableName }));
  client.destroy();
});

describe("DynamoDB store", () => {
  deadLetterStoreSuite((options) => createDynamoDbStore({ ...options, client, tableName }));
});
