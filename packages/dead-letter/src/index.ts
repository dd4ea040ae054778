export {
  connectDynamoDb,
  DYNAMODB_DEFAULTS,
  type DynamoDbConnection,
  type DynamoDbOptions,
} from "./dynamodb/client.ts";
export { createDynamoDbStore, type DynamoDbStore, type DynamoDbStoreOptions } from "./dynamodb/store.ts";
export { ensureTable, tableDefinition, type EnsureTableOptions, type TableReport } from "./dynamodb/table.ts";
export { DeadLetterError, isDeadLetterError, type DeadLetterErrorCode } from "./errors.ts";
export { createMemoryStore } from "./memory.ts";
export { PREVIEW_LIMIT, type PreviewOption } from "./preview.ts";
export type { CountQuery, Grouping, LetterPage, ListQuery } from "./query.ts";
export {
  deadLetterStateSchema,
  HISTORY_LIMIT,
  letterSchema,
  NOTE_LIMIT,
  recordId,
  type Claim,
  type DeadLetter,
  type DeadLetterState,
  type Death,
  type HistoryEntry,
  type Letter,
  type ShownLetter,
} from "./record.ts";
export { searchLetters, type FoundPage, type LetterSearch } from "./search.ts";
export {
  STORE_DEFAULTS,
  type Change,
  type Purge,
  type ClaimResult,
  type DeadLetterStore,
  type StoreOptions,
} from "./store.ts";
export type { ClaimCommand, Refusal } from "./transitions.ts";
