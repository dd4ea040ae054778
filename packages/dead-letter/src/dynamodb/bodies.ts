/**
 * The jobs' data in DynamoDB: gzip of its JSON, inside the letter's item while it is small, in items of its own
 * above that, since an item ends at 400 KB.
 */
import { createHash } from "node:crypto";
import { promisify } from "node:util";
import { gunzip, gzip } from "node:zlib";
import {
  DeleteItemCommand,
  paginateQuery,
  PutItemCommand,
  UpdateItemCommand,
  type DynamoDBClient,
  type QueryCommandInput,
} from "@aws-sdk/client-dynamodb";
import { NewerVersionError, parseJobData, type JobData } from "@sluice/job";
import { z } from "zod";
import { DeadLetterError } from "../errors.ts";
import type { Bodies } from "../storage.ts";
import { asking, askingIf, batchGet } from "./client.ts";
import { keyOf, partKey, PART_PREFIX, PARTITION_KEY, SORT_KEY, TIME_TO_LIVE } from "./keys.ts";

/**
 * The largest body kept inside the letter. Every change of a letter pays for its whole item (one unit per KB), so
 * this stays far below what would fit; prompts of some 100 KB still compress into it.
 */
export const INLINE_BYTES = 48_000;

/** The largest part of a body: below the item limit of 400 KB with room for keys. */
export const PART_BYTES = 300_000;

const common = {
  /** Hex SHA-256 and length of the JSON before compression. */
  sha256: z.string().length(64),
  bytes: z.int().nonnegative(),
};

/** How a letter's item names its body. */
export const bodySchema = z.discriminatedUnion("kept", [
  z.object({ ...common, kept: z.literal("inline"), gzip: z.instanceof(Uint8Array) }),
  z.object({ ...common, kept: z.literal("parts"), key: z.string(), parts: z.int().positive() }),
]);
export type Body = z.infer<typeof bodySchema>;

const compress = promisify(gzip);
const decompress = promisify<Uint8Array, { maxOutputLength: number }, Buffer>(gunzip);

export function dynamoDbBodies(client: DynamoDBClient, table: string): Bodies<Body> {
  async function compressed(id: string, body: Body): Promise<Uint8Array | undefined> {
    if (body.kept === "inline") return body.gzip;
    const keys = partsOf(body).map((part) => keyOf(id, part));
    const items = await asking(table, "read a body", () => batchGet(client, table, keys));
    const parts = new Map(items.map((item) => [item[SORT_KEY]?.S, item["bytes"]?.B]));
    const inOrder = partsOf(body).map((part) => parts.get(part));
    return inOrder.every((part) => part !== undefined) ? Buffer.concat(inOrder) : undefined;
  }

  async function remove(id: string, parts: readonly string[]): Promise<void> {
    for (const part of parts) {
      await asking(table, "delete a body", () =>
        client.send(new DeleteItemCommand({ TableName: table, Key: keyOf(id, part) })),
      );
    }
  }

  return {
    async seal(id, data, at) {
      const raw = Buffer.from(JSON.stringify(data));
      const packed = await compress(raw);
      const origin = { sha256: sha256(raw), bytes: raw.length };
      if (packed.length <= INLINE_BYTES) return { ...origin, kept: "inline", gzip: packed };
      // Time and content make the key: a death that is written again meets its own parts, two different bodies
      // never share one, and a letter keeps its parts until the letter that replaces it is committed.
      const key = `${String(at).padStart(15, "0")}-${sha256(packed).slice(0, 16)}`;
      const parts = Math.ceil(packed.length / PART_BYTES);
      const body: Body = { ...origin, kept: "parts", key, parts };
      await asking(table, "write a body", async () => {
        for (const [position, part] of partsOf(body).entries()) {
          const bytes = packed.subarray(position * PART_BYTES, (position + 1) * PART_BYTES);
          const Item = { ...keyOf(id, part), bytes: { B: bytes } };
          await client.send(new PutItemCommand({ TableName: table, Item }));
        }
      });
      return body;
    },

    async open(id, body) {
      const packed = await compressed(id, body);
      return packed === undefined ? undefined : unpacked(id, body, packed);
    },

    async expire(id, body, expiresAt) {
      for (const part of partsOf(body)) {
        await askingIf(table, "let a body expire", () =>
          client.send(
            new UpdateItemCommand({
              TableName: table,
              Key: keyOf(id, part),
              UpdateExpression: "SET #ttl = :ttl",
              ConditionExpression: "attribute_exists(#id)",
              ExpressionAttributeNames: { "#ttl": TIME_TO_LIVE, "#id": PARTITION_KEY },
              ExpressionAttributeValues: { ":ttl": { N: timeToLive(expiresAt) } },
            }),
          ),
        );
      }
    },

    async drop(id, body, keep) {
      const kept = new Set(partsOf(keep));
      await remove(
        id,
        partsOf(body).filter((part) => !kept.has(part)),
      );
    },

    async disposal(id) {
      const parts: string[] = [];
      const input: QueryCommandInput = {
        TableName: table,
        ConsistentRead: true,
        KeyConditionExpression: "#id = :id AND begins_with(#item, :part)",
        ProjectionExpression: "#item",
        ExpressionAttributeNames: { "#id": PARTITION_KEY, "#item": SORT_KEY },
        ExpressionAttributeValues: { ":id": { S: id }, ":part": { S: PART_PREFIX } },
      };
      await asking(table, "find bodies", async () => {
        for await (const page of paginateQuery({ client }, input)) {
          parts.push(...(page.Items ?? []).flatMap((item) => item[SORT_KEY]?.S ?? []));
        }
      });
      return () => remove(id, parts);
    },
  };
}

/** Seconds since the epoch, as DynamoDB wants it. */
export function timeToLive(expiresAtMs: number): string {
  return String(Math.ceil(expiresAtMs / 1000));
}

function partsOf(body: Body): string[] {
  if (body.kept === "inline") return [];
  return Array.from({ length: body.parts }, (_, index) => partKey(body.key, index + 1));
}

async function unpacked(id: string, body: Body, packed: Uint8Array): Promise<JobData> {
  try {
    const raw = await decompress(packed, { maxOutputLength: body.bytes + 1 });
    if (sha256(raw) !== body.sha256) throw new Error("The SHA-256 differs");
    return parseJobData(JSON.parse(raw.toString("utf8")));
  } catch (cause) {
    if (cause instanceof NewerVersionError) throw new DeadLetterError("newer", cause.message, { cause });
    const message = `Expected the data of dead letter '${id}' to be as it was written, got something else`;
    throw new DeadLetterError("corrupt", message, { cause });
  }
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
