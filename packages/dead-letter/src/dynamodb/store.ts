/** The dead letter store on DynamoDB: one table, single-item conditional writes, no transactions, no Scan. */
import { createStore } from "../engine.ts";
import type { DeadLetterStore, StoreOptions } from "../store.ts";
import { dynamoDbBodies } from "./bodies.ts";
import { clientOf, type DynamoDbConnection } from "./client.ts";
import { dynamoDbIndex } from "./letter-index.ts";
import { dynamoDbLetters } from "./letters.ts";

export interface DynamoDbStoreOptions extends StoreOptions, DynamoDbConnection {
  /** A table as `ensureTable` makes it. */
  readonly tableName: string;
}

export interface DynamoDbStore extends DeadLetterStore {
  /** Reads one item that is none. Rejects with a `DeadLetterError` saying why the table cannot be read. */
  check: () => Promise<void>;
  /** Closes the connections, unless the client was given. */
  close: () => void;
}

/** No job has this id. */
const NOBODY = "check";

/** Makes a store on a table. Nothing is asked of DynamoDB before the first call. */
export function createDynamoDbStore(options: DynamoDbStoreOptions): DynamoDbStore {
  const { tableName } = options;
  const { client, close } = clientOf(options);
  const storage = {
    letters: dynamoDbLetters(client, tableName),
    index: dynamoDbIndex(client, tableName),
    bodies: dynamoDbBodies(client, tableName),
  };
  const check = async (): Promise<void> => void (await storage.letters.load(NOBODY));
  return { ...createStore(storage, options), check, close };
}
