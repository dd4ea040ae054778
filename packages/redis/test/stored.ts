/**
 * What the version before this one has stored, byte for byte: `stored/last.json` was read from a Redis that its programs
 * had filled (commit c00009a). Put back into a key space, it is what this version finds after a deploy.
 */
import { readFileSync } from "node:fs";
import type { Redis } from "ioredis";
import type { KeySpace } from "../src/index.ts";

type Bytes = string | { readonly base64: string };

type Stored =
  | { readonly type: "string"; readonly value: Bytes }
  | { readonly type: "hash"; readonly value: Readonly<Record<string, Bytes>> }
  | { readonly type: "list"; readonly value: readonly string[] }
  /** Members, each with its score. */
  | { readonly type: "zset"; readonly value: readonly string[] };

const file: {
  readonly job: { readonly data: string; readonly notes: string };
  readonly records: Readonly<Record<string, Stored>>;
} = JSON.parse(readFileSync(new URL("stored/last.json", import.meta.url), "utf8"));
const { job, records } = file;

function bytes(stored: Bytes): Buffer {
  return typeof stored === "string" ? Buffer.from(stored) : Buffer.from(stored.base64, "base64");
}

/** A job's data and the notes of its last try, as fields of its hash. */
export const lastJob: { readonly data: string; readonly notes: string } = job;

/** The job of all those records. */
export const LAST_ID = "claude.bulk.01j9z3n4q5r6s7t8v9w0x1y2z3";

/** Puts back the records whose keys begin so. Resolves to their keys. */
export async function restoreLast(redis: Redis, space: KeySpace, prefix: string): Promise<string[]> {
  const chosen = Object.entries(records).filter(([name]) => name.startsWith(prefix));
  for (const [name, stored] of chosen) {
    const key = `${space}:${name}`;
    switch (stored.type) {
      case "string":
        await redis.set(key, bytes(stored.value));
        break;
      case "hash":
        for (const [field, value] of Object.entries(stored.value)) await redis.hset(key, field, bytes(value));
        break;
      case "list":
        await redis.rpush(key, ...stored.value);
        break;
      case "zset":
        await redis.zadd(key, ...stored.value.toReversed());
        break;
    }
  }
  return chosen.map(([name]) => `${space}:${name}`);
}
