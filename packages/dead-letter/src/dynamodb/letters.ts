/** Letters as items: the letter's own attributes, the keys of the indexes it is in now, and its body. */
import {
  DeleteItemCommand,
  GetItemCommand,
  PutItemCommand,
  type DynamoDBClient,
} from "@aws-sdk/client-dynamodb";
import { marshall, unmarshall } from "@aws-sdk/util-dynamodb";
import { assertKnownVersion, NewerVersionError } from "@sluice/job";
import { DeadLetterError } from "../errors.ts";
import { indexKeys, placeOf } from "../query.ts";
import { LETTER_VERSION, letterSchema, type Letter } from "../record.ts";
import type { Letters, Stored } from "../storage.ts";
import { bodySchema, timeToLive, type Body } from "./bodies.ts";
import { asking, askingIf, type Item } from "./client.ts";
import { CLASSES_ID, keyOf, LETTER, PARTITION_KEY, PLACE, TIME_TO_LIVE } from "./keys.ts";

/** The longest partition key there can be. */
const KEY_BYTES = 2048;

export function dynamoDbLetters(client: DynamoDBClient, table: string): Letters<Body> {
  const knownClasses = new Set<string>();

  /** Lists a class before its first letter is written, so that no letter is in a class nobody can find. */
  async function makeKnown(errorClass: string): Promise<void> {
    if (knownClasses.has(errorClass)) return;
    const Item = keyOf(CLASSES_ID, errorClass);
    await asking(table, "list an error class", () =>
      client.send(new PutItemCommand({ TableName: table, Item })),
    );
    knownClasses.add(errorClass);
  }

  async function read(id: string): Promise<Item | undefined> {
    const get = new GetItemCommand({ TableName: table, Key: keyOf(id, LETTER), ConsistentRead: true });
    return asking(table, "read a letter", async () => (await client.send(get)).Item);
  }

  return {
    async load(id) {
      // DynamoDB rejects such keys, so nothing is stored under them.
      if (id === "" || Buffer.byteLength(id) > KEY_BYTES) return undefined;
      const item = await read(id);
      return item === undefined ? undefined : storedOf(item);
    },

    async save(next, seen) {
      await makeKnown(next.letter.failure.errorClass);
      const held = await askingIf(table, "write a letter", () =>
        client.send(new PutItemCommand({ TableName: table, Item: itemOf(next), ...provided(seen) })),
      );
      if (held) return true;
      // The condition also fails on the echo of our own write: the answer got lost and the SDK sent it again.
      const stored = await read(next.letter.id);
      return stored?.["revision"]?.S === next.letter.revision;
    },

    async remove(id, seen) {
      const held = await askingIf(table, "delete a letter", () =>
        client.send(new DeleteItemCommand({ TableName: table, Key: keyOf(id, LETTER), ...provided(seen) })),
      );
      // As above: gone is gone, whoever's request it was.
      return held || (await read(id)) === undefined;
    },
  };
}

/** The letter of an item that was read with or without its body. */
export function letterOf(item: Item): Letter {
  return parsed(item, () => letterIn(unmarshall(item)));
}

function storedOf(item: Item): Stored<Body> {
  return parsed(item, () => {
    const attributes = unmarshall(item);
    return { letter: letterIn(attributes), body: bodySchema.parse(attributes["body"]) };
  });
}

/** @throws NewerVersionError, or the schema's own error. */
function letterIn(attributes: object): Letter {
  assertKnownVersion("dead letter", attributes, LETTER_VERSION);
  return letterSchema.parse(attributes);
}

function parsed<T>(item: Item, parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    if (cause instanceof NewerVersionError) throw new DeadLetterError("newer", cause.message, { cause });
    const message = `Expected '${item[PARTITION_KEY]?.S}' to be a dead letter this version can read`;
    throw new DeadLetterError("corrupt", message, { cause, revision: item["revision"]?.S });
  }
}

function itemOf({ letter, body }: Stored<Body>): Item {
  const attributes = { ...letter, ...indexKeys(letter), [PLACE]: placeOf(letter), body };
  return {
    ...marshall(attributes, { removeUndefinedValues: true }),
    ...keyOf(letter.id, LETTER),
    ...(letter.state === "resolved" ? { [TIME_TO_LIVE]: { N: timeToLive(letter.expiresAt) } } : {}),
  };
}

/** The condition under which a write holds: nothing there, or still what was read. */
function provided(seen: string | undefined) {
  if (seen === undefined) {
    return {
      ConditionExpression: "attribute_not_exists(#id)",
      ExpressionAttributeNames: { "#id": PARTITION_KEY },
    };
  }
  return {
    ConditionExpression: "#revision = :seen",
    ExpressionAttributeNames: { "#revision": "revision" },
    ExpressionAttributeValues: { ":seen": { S: seen } },
  };
}
