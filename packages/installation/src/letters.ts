/** The dead letters of an installation, for those who keep or read them: the one place where DynamoDB is opened. */
import { createDynamoDbStore, type DynamoDbStore } from "@sluice/dead-letter";
import type { Clock } from "@sluice/job";

export interface LettersOptions {
  readonly table: string;
  /** The time of what is written. Default: the machine's. */
  readonly clock?: Clock;
}

/** Opens the table in the Region, and with the credentials, of the environment. Its caller closes it. */
export function openLetters({ table, clock = Date.now }: LettersOptions): DynamoDbStore {
  return createDynamoDbStore({ tableName: table, now: clock });
}
