/** The table: its definition, and making sure that it exists as defined. */
import {
  CreateTableCommand,
  DescribeTableCommand,
  DescribeTimeToLiveCommand,
  UpdateTimeToLiveCommand,
  waitUntilTableExists,
  type CreateTableCommandInput,
  type DynamoDBClient,
  type TableDescription,
} from "@aws-sdk/client-dynamodb";
import { asking, clientOf, errorName, type DynamoDbConnection } from "./client.ts";
import { EXPIRES_AT, INDEXES, PARTITION_KEY, PLACE, SORT_KEY, TIME_TO_LIVE } from "./keys.ts";

/** The table as `CreateTable` takes it. The indexes are part of it, so that emulators that cannot add one do. */
export function tableDefinition(tableName: string): CreateTableCommandInput {
  const attributes = [PARTITION_KEY, SORT_KEY, PLACE, ...INDEXES];
  return {
    TableName: tableName,
    BillingMode: "PAY_PER_REQUEST",
    AttributeDefinitions: attributes.map((AttributeName) => ({ AttributeName, AttributeType: "S" })),
    KeySchema: [
      { AttributeName: PARTITION_KEY, KeyType: "HASH" },
      { AttributeName: SORT_KEY, KeyType: "RANGE" },
    ],
    GlobalSecondaryIndexes: INDEXES.map((name) => ({
      IndexName: name,
      KeySchema: [
        { AttributeName: name, KeyType: "HASH" },
        { AttributeName: PLACE, KeyType: "RANGE" },
      ],
      Projection: { ProjectionType: "INCLUDE", NonKeyAttributes: [EXPIRES_AT] },
    })),
  };
}

/** What `ensureTable` found or did. */
export interface TableReport {
  readonly tableName: string;
  readonly table: "created" | "found";
  /**
   * `unsupported`: an emulator without it; expired letters are hidden all the same. `unchecked`: the table differs,
   * so it was left alone.
   */
  readonly timeToLive: "enabled" | "found" | "unsupported" | "unchecked";
  /** What is not as defined, in sentences. Empty when all is well; a store needs it empty. */
  readonly differences: readonly string[];
}

export interface EnsureTableOptions extends DynamoDbConnection {
  readonly tableName: string;
  /** Longest wait for the table to become ACTIVE, in milliseconds. Default 120,000. */
  readonly maxWaitMs?: number;
}

/** Creates the table, or checks the one that is there; waits until it is ACTIVE. Never changes keys or indexes. */
export async function ensureTable(options: EnsureTableOptions): Promise<TableReport> {
  const { tableName, maxWaitMs = 120_000 } = options;
  const { client, close } = clientOf(options);
  return asking(tableName, "make sure of the keys and indexes", async () => {
    const table = (await exists(client, tableName)) ? "found" : await create(client, tableName);
    await waitUntilTableExists(
      { client, maxWaitTime: Math.ceil(maxWaitMs / 1000), minDelay: 1, maxDelay: 2 },
      { TableName: tableName },
    );
    const { Table } = await client.send(new DescribeTableCommand({ TableName: tableName }));
    const differences = differencesOf(Table ?? {}, tableDefinition(tableName));
    const timeToLive = differences.length > 0 ? "unchecked" : await ensureTimeToLive(client, tableName);
    return { tableName, table, timeToLive, differences };
  }).finally(close);
}

async function exists(client: DynamoDBClient, tableName: string): Promise<boolean> {
  try {
    await client.send(new DescribeTableCommand({ TableName: tableName }));
    return true;
  } catch (error) {
    if (errorName(error) === "ResourceNotFoundException") return false;
    throw error;
  }
}

async function create(client: DynamoDBClient, tableName: string): Promise<"created" | "found"> {
  try {
    await client.send(new CreateTableCommand(tableDefinition(tableName)));
    return "created";
  } catch (error) {
    // Another process was faster, or our own request arrived twice.
    if (errorName(error) === "ResourceInUseException") return "found";
    throw error;
  }
}

async function ensureTimeToLive(
  client: DynamoDBClient,
  tableName: string,
): Promise<TableReport["timeToLive"]> {
  try {
    if (await expiresItems(client, tableName)) return "found";
    const TimeToLiveSpecification = { AttributeName: TIME_TO_LIVE, Enabled: true };
    await client.send(new UpdateTimeToLiveCommand({ TableName: tableName, TimeToLiveSpecification }));
    return "enabled";
  } catch (error) {
    const name = errorName(error);
    if (name === "UnknownOperationException") return "unsupported";
    // Also the answer to enabling what another process has enabled in between.
    if (name === "ValidationException" && (await expiresItems(client, tableName))) return "found";
    throw error;
  }
}

async function expiresItems(client: DynamoDBClient, tableName: string): Promise<boolean> {
  const answer = await client.send(new DescribeTimeToLiveCommand({ TableName: tableName }));
  const status = answer.TimeToLiveDescription?.TimeToLiveStatus;
  return status === "ENABLED" || status === "ENABLING";
}

/** How a table differs from its definition in what the store relies on: keys, indexes and their projections. */
export function differencesOf(actual: TableDescription, wanted: CreateTableCommandInput): string[] {
  const differences: string[] = [];
  const compare = (what: string, is: string, should: string) => {
    if (is !== should) differences.push(`Expected ${what} to be ${should}, got ${is}`);
  };
  compare("the key of the table", keyText(actual.KeySchema), keyText(wanted.KeySchema));
  for (const index of wanted.GlobalSecondaryIndexes ?? []) {
    const found = actual.GlobalSecondaryIndexes?.find(({ IndexName }) => IndexName === index.IndexName);
    compare(`the key of index '${index.IndexName}'`, keyText(found?.KeySchema), keyText(index.KeySchema));
    compare(
      `the projection of index '${index.IndexName}'`,
      projectionText(found?.Projection),
      projectionText(index.Projection),
    );
  }
  for (const { AttributeName } of wanted.AttributeDefinitions ?? []) {
    compare(`the type of '${AttributeName}'`, typeOf(AttributeName, actual), typeOf(AttributeName, wanted));
  }
  return differences;
}

function keyText(schema: TableDescription["KeySchema"]): string {
  return schema?.map(({ AttributeName, KeyType }) => `${AttributeName} (${KeyType})`).join(", ") ?? "missing";
}

function typeOf(name: string | undefined, of: TableDescription | CreateTableCommandInput): string {
  return (
    of.AttributeDefinitions?.find(({ AttributeName }) => AttributeName === name)?.AttributeType ?? "missing"
  );
}

type Projection = NonNullable<TableDescription["GlobalSecondaryIndexes"]>[number]["Projection"];

function projectionText(projection: Projection): string {
  if (projection === undefined) return "missing";
  const { ProjectionType, NonKeyAttributes = [] } = projection;
  return [ProjectionType, ...NonKeyAttributes.toSorted()].join(" ");
}
