/** How this package talks to DynamoDB: bounded waits, few retries, and errors told apart by name, never by text. */
import { setTimeout as sleep } from "node:timers/promises";
import {
  BatchGetItemCommand,
  DynamoDBClient,
  type AttributeValue,
  type DynamoDBClientConfig,
} from "@aws-sdk/client-dynamodb";
import { DeadLetterError } from "../errors.ts";

export type Item = Record<string, AttributeValue>;

/** Where the table is. Everything left out is found as the AWS SDK finds it: environment, profile, instance role. */
export interface DynamoDbOptions {
  /** For an emulator, e.g. `http://127.0.0.1:8000`. Default: the Region's own. */
  readonly endpoint?: string;
  readonly region?: string;
  readonly credentials?: NonNullable<DynamoDBClientConfig["credentials"]>;
  /** Longest wait for a connection, in milliseconds. Default 1,000. */
  readonly connectionTimeoutMs?: number;
  /** Longest wait for one answer, in milliseconds. Default 3,000. */
  readonly requestTimeoutMs?: number;
  /** Tries of one request, the first included. Default 3. The mover comes back anyway: keep it low. */
  readonly maxAttempts?: number;
}

export const DYNAMODB_DEFAULTS = {
  connectionTimeoutMs: 1_000,
  requestTimeoutMs: 3_000,
  maxAttempts: 3,
} satisfies DynamoDbOptions;

/** Opens a client; its owner calls `destroy()`. */
export function connectDynamoDb(options: DynamoDbOptions = {}): DynamoDBClient {
  const { endpoint, region, credentials } = options;
  const {
    connectionTimeoutMs = DYNAMODB_DEFAULTS.connectionTimeoutMs,
    requestTimeoutMs = DYNAMODB_DEFAULTS.requestTimeoutMs,
    maxAttempts = DYNAMODB_DEFAULTS.maxAttempts,
  } = options;
  return new DynamoDBClient({
    // Left out rather than undefined: the SDK looks into the environment only for what is not there.
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(region === undefined ? {} : { region }),
    ...(credentials === undefined ? {} : { credentials }),
    maxAttempts,
    requestHandler: {
      connectionTimeout: connectionTimeoutMs,
      requestTimeout: requestTimeoutMs,
      // Otherwise a breach is only logged and the call waits on.
      throwOnRequestTimeout: true,
    },
  });
}

/** A client of the caller's, or how to open one. With `client`, every other connection setting is left unread. */
export interface DynamoDbConnection extends DynamoDbOptions {
  /** Its owner destroys it. */
  readonly client?: DynamoDBClient;
}

/** The client of a connection; `close` destroys it unless it was given. */
export function clientOf(connection: DynamoDbConnection): { client: DynamoDBClient; close: () => void } {
  if (connection.client !== undefined) return { client: connection.client, close: () => undefined };
  const client = connectDynamoDb(connection);
  return { client, close: () => client.destroy() };
}

/** What no repetition cures. Everything else (throttles, 5xx, sockets, timeouts) may pass. */
const MISCONFIGURED = new Set([
  "AccessDeniedException",
  "CredentialsProviderError",
  "ExpiredTokenException",
  "IncompleteSignatureException",
  "InvalidSignatureException",
  "MissingAuthenticationTokenException",
  "ResourceNotFoundException",
  "UnrecognizedClientException",
  "ValidationException",
]);

/** The SDK has no name for it. */
const NO_REGION = /^Region is missing/;

/** Nobody there, or somebody who does not answer as DynamoDB does: the address may be wrong. */
const NOT_DYNAMODB = /^(?:Unknown(?:Error)?|SyntaxError)\b|\b(?:ECONNREFUSED|ERR_INVALID_URL)$/;

/** The wire name of an error. */
export function errorName(error: unknown): string {
  return error instanceof Error ? error.name : "UnknownError";
}

/** What AWS says of a denial is long, and says why at its end. Characters. */
const REASON_LENGTH = 700;

/**
 * Why, in the vendor's words: which action of whom is denied, which host is not found. Not of a request that was refused for
 * what it holds.
 */
function reasonOf(error: unknown): string {
  const name = errorName(error);
  if (!(error instanceof Error) || name === "ValidationException") return "";
  const code: unknown = Reflect.get(error, "code");
  // Of several addresses none answered: the message is empty then.
  const said = error.message === "" && typeof code === "string" ? code : error.message;
  const reason = said.replaceAll(/\s+/g, " ").trim().replace(/\.$/, "").slice(0, REASON_LENGTH);
  return reason === "" || reason === name ? "" : `: ${reason}`;
}

interface Trouble {
  readonly code: "misconfigured" | "unavailable";
  /** What was not done: what was asked for, or to use the table at all. */
  readonly failed: string;
  readonly advice: string;
}

function troubleOf(error: unknown, what: string, table: string): Trouble {
  const failed = `${what} in table '${table}'`;
  const use = `use table '${table}'`;
  if (errorName(error) === "ResourceNotFoundException") {
    const advice =
      "There is no such table in this Region: check the name and the Region, or make it with `sluice dead-letters init`";
    return { code: "misconfigured", failed: use, advice };
  }
  if (error instanceof Error && NO_REGION.test(error.message)) {
    return { code: "misconfigured", failed: use, advice: "Set AWS_REGION to the Region of the table" };
  }
  if (error instanceof Error && Reflect.get(error, "code") === "ENOTFOUND") {
    // A name service that is away says the same of a Region that exists.
    const advice =
      "The Region may not exist, since its host has no address: check AWS_REGION, or try again later if the name service is away";
    return { code: "unavailable", failed: use, advice };
  }
  if (MISCONFIGURED.has(errorName(error))) {
    return { code: "misconfigured", failed, advice: "Check the table, the Region and the permissions" };
  }
  const code: unknown = error instanceof Error ? Reflect.get(error, "code") : undefined;
  const isElsewhere = NOT_DYNAMODB.test(`${errorName(error)} ${typeof code === "string" ? code : ""}`);
  const advice = isElsewhere ? "Check AWS_ENDPOINT_URL_DYNAMODB, or try again later" : "Try again later";
  return { code: "unavailable", failed, advice };
}

/** Runs one or more requests and turns the vendor's errors into ours. `what` names them, e.g. "read a letter". */
export async function asking<Answer>(
  table: string,
  what: string,
  ask: () => Promise<Answer>,
): Promise<Answer> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof DeadLetterError) throw error;
    const { code, failed, advice } = troubleOf(error, what, table);
    const message = `DynamoDB could not ${failed}: ${errorName(error)}${reasonOf(error)}. ${advice}`;
    throw new DeadLetterError(code, message, { cause: error });
  }
}

/** As `asking`, for a conditional write: whether the condition held. */
export function askingIf(table: string, what: string, write: () => Promise<unknown>): Promise<boolean> {
  return asking(table, what, async () => {
    try {
      await write();
      return true;
    } catch (error) {
      if (errorName(error) === "ConditionalCheckFailedException") return false;
      throw error;
    }
  });
}

/** The service's limit of one BatchGetItem. */
const BATCH_KEYS = 100;
const BATCH_ROUNDS = 8;
const BATCH_BACKOFF_MS = 25;

/**
 * Reads items consistently, in no particular order; those that do not exist are missing from the answer. What a
 * round leaves unprocessed (16 MB reached, throttled) is asked for again.
 * @param attributes the only attributes to read; all when left out.
 */
export async function batchGet(
  client: DynamoDBClient,
  table: string,
  keys: readonly Item[],
  attributes?: readonly string[],
): Promise<Item[]> {
  const projection = attributes === undefined ? {} : projecting(attributes);
  const found: Item[] = [];
  let wanted = [...keys];
  for (let idleRounds = 0; wanted.length > 0;) {
    const batch = wanted.slice(0, BATCH_KEYS);
    const answer = await client.send(
      new BatchGetItemCommand({
        RequestItems: { [table]: { Keys: batch, ConsistentRead: true, ...projection } },
      }),
    );
    found.push(...(answer.Responses?.[table] ?? []));
    const left = answer.UnprocessedKeys?.[table]?.Keys ?? [];
    wanted = [...left, ...wanted.slice(BATCH_KEYS)];
    idleRounds = left.length < batch.length ? 0 : idleRounds + 1;
    if (idleRounds === BATCH_ROUNDS) {
      throw new DeadLetterError(
        "unavailable",
        `DynamoDB left every key unread ${BATCH_ROUNDS} times in a row`,
      );
    }
    if (idleRounds > 0) await sleep(Math.random() * BATCH_BACKOFF_MS * 2 ** idleRounds);
  }
  return found;
}

function projecting(attributes: readonly string[]) {
  const names = attributes.map((name, position) => [`#a${position}`, name] as const);
  return {
    ProjectionExpression: names.map(([placeholder]) => placeholder).join(", "),
    ExpressionAttributeNames: Object.fromEntries(names),
  };
}
