/** The dead letter store on DynamoDB: one table, single-item conditional writes, no transactions, no Scan. */
import type { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { createStore, type DeadLetterStore, type StoreOptions } from "../store.ts";
import { dynamoDbBodies } from "./bodies.ts";
import { dynamoDbIndex } from "./letter-index.ts";
import { dynamoDbLetters } from "./letters.ts";

export interface DynamoDbStoreOptions extends StoreOptions {
  /** From `connectDynamoDb`. Its owner destroys it. */
  readonly client: DynamoDBClient;
  /** A table as `ensureTable` makes it. */
  readonly tableName: string;
}

/** Makes a store on a table. Nothing is asked of DynamoDB before the first call. */
export function createDynamoDbStore(options: DynamoDbStoreOptions): DeadLetterStore {
  const { client, tableName, ...settings } = options;
  const storage = {
    letters: dynamoDbLetters(client, tableName),
    index: dynamoDbIndex(client, tableName),
    bodies: dynamoDbBodies(client, tableName),
  };
  return createStore(storage, settings);
}
