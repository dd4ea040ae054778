/** The dead letters of an installation, for those who keep or read them: the one place where DynamoDB is opened. */
import { createDynamoDbStore, type DynamoDbOptions, type DynamoDbStore } from "@sluice/dead-letter";
import type { Clock } from "@sluice/job";

export interface LettersOptions extends DynamoDbOptions {
  readonly table: string;
  /** The time of what is written. Default: the machine's. */
  readonly clock?: Clock;
}

/** Opens the table; Region, credentials and endpoint are those of the environment where none are given. Its caller closes it. */
export function openLetters({ table, clock = Date.now, ...connection }: LettersOptions): DynamoDbStore {
  return createDynamoDbStore({ tableName: table, now: clock, ...connection });
}
