/** Idempotency keys: a caller's key is bound to one job id and one request, within a tenant and a scope. */
import { assertKnownVersion } from "@sluice/job";
import { defineScript, type KeySpace, type Script } from "@sluice/redis";
import type { Redis } from "ioredis";
import { z } from "zod";
import { canonicalJson, sha256 } from "./canonical-json.ts";
import { claimKey } from "./keys.ts";
import { VERSIONS } from "./stored.ts";

/** How long a key stays bound, milliseconds. */
export const IDEMPOTENCY_WINDOW_MS: number = 24 * 60 * 60 * 1000;

export interface ClaimRequest {
  readonly tenant: string;
  /** The caller's key. Kept as a hash: it may say more about the caller than a Redis key should. */
  readonly key: string;
  /** All that the caller sent. */
  readonly request: unknown;
  /** What of it must be the same when the key comes again. Default: all. */
  readonly timeless?: unknown;
  /** The id to bind, if the key is new. */
  readonly id: string;
}

export type Claim =
  /** The key was free: the job with this id is the caller's to add. */
  | { readonly type: "new"; readonly id: string }
  /** The key was bound by the same request. Its job may still be missing, if that caller died before adding it. */
  | { readonly type: "repeated"; readonly id: string }
  /** The key was bound by another request. */
  | { readonly type: "conflict"; readonly id: string };

/** As stored. `hash` is of all that was sent, by which a version before this one compares. */
interface Bound {
  readonly id: string;
  readonly hash: string;
  /** Left out by a version before this one. */
  readonly timeless?: string;
}

const RECORD = "idempotency key";

/** What a newer version means by its hashes is not known here, so nothing can be said of a request that comes again. */
const boundSchema = z
  .tuple([z.string(), z.string(), z.string().nullish(), z.coerce.number().nullish()])
  .transform((bound) => {
    assertKnownVersion(RECORD, { version: bound[3] ?? 1 }, VERSIONS[RECORD]);
    return bound;
  })
  .transform(([id, hash, timeless]): Bound => ({ id, hash, ...(timeless ? { timeless } : {}) }));

const bind: Script<{ key: string; bound: Required<Bound> }, Bound> = defineScript(
  new URL("../lua/claim.lua", import.meta.url),
  ({ key, bound }) => ({
    keys: [key],
    argv: [bound.id, bound.hash, IDEMPOTENCY_WINDOW_MS, bound.timeless, VERSIONS[RECORD]],
  }),
  (reply) => boundSchema.parse(reply),
);

export class ClaimStore {
  readonly #redis: Redis;
  readonly #keySpace: KeySpace;

  constructor(redis: Redis, keySpace: KeySpace) {
    this.#redis = redis;
    this.#keySpace = keySpace;
  }

  /** What the key is bound to, without binding it. Rejects with NewerVersionError as `claim` does. */
  async find({ tenant, key, ...asked }: Omit<ClaimRequest, "id">): Promise<Claim | undefined> {
    const stored = await this.#redis.hmget(this.#key(tenant, key), "id", "hash", "timeless", "version");
    if (stored[0] === null) return undefined;
    const bound = boundSchema.parse(stored);
    return { type: isSame(bound, hashesOf(asked)) ? "repeated" : "conflict", id: bound.id };
  }

  /**
   * Binds the key, or tells what it is bound to. One atomic step; safe to repeat.
   * Rejects with NewerVersionError when a newer version of Sluice has bound it.
   */
  async claim({ tenant, key, id, ...asked }: ClaimRequest): Promise<Claim> {
    const hashes = hashesOf(asked);
    const bound = await bind.run(this.#redis, { key: this.#key(tenant, key), bound: { id, ...hashes } });
    if (!isSame(bound, hashes)) return { type: "conflict", id: bound.id };
    return { type: bound.id === id ? "new" : "repeated", id: bound.id };
  }

  #key(tenant: string, key: string): string {
    return claimKey(this.#keySpace, tenant, sha256(key));
  }
}

type Hashes = Required<Omit<Bound, "id">>;

function hashesOf({ request, timeless = request }: Pick<ClaimRequest, "request" | "timeless">): Hashes {
  return { hash: sha256(canonicalJson(request)), timeless: sha256(canonicalJson(timeless)) };
}

function isSame(bound: Bound, { hash, timeless }: Hashes): boolean {
  return bound.timeless === undefined ? bound.hash === hash : bound.timeless === timeless;
}
