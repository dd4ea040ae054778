/** Idempotency keys: a caller's key is bound to one job id and one request, within a tenant and a scope. */
import { defineScript, type KeySpace, type Script } from "@sluice/redis";
import type { Redis } from "ioredis";
import { canonicalJson, sha256 } from "./canonical-json.ts";
import { claimKey } from "./keys.ts";

/** How long a key stays bound, milliseconds. */
export const IDEMPOTENCY_WINDOW_MS: number = 24 * 60 * 60 * 1000;

export interface ClaimRequest {
  readonly tenant: string;
  /** The caller's key. Kept as a hash: it may say more about the caller than a Redis key should. */
  readonly key: string;
  /** What must be the same when the key comes again. */
  readonly request: unknown;
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

const bind: Script<{ key: string; id: string; hash: string }, readonly [id: string, hash: string]> =
  defineScript(
    new URL("../lua/claim.lua", import.meta.url),
    ({ key, id, hash }) => ({ keys: [key], argv: [id, hash, IDEMPOTENCY_WINDOW_MS] }),
    (reply) => {
      if (!Array.isArray(reply)) throw new TypeError("Expected the claim script to reply with a list");
      return [String(reply[0]), String(reply[1])];
    },
  );

export class ClaimStore {
  readonly #redis: Redis;
  readonly #keySpace: KeySpace;

  constructor(redis: Redis, keySpace: KeySpace) {
    this.#redis = redis;
    this.#keySpace = keySpace;
  }

  /** What the key is bound to, without binding it. */
  async find({ tenant, key, request }: Omit<ClaimRequest, "id">): Promise<Claim | undefined> {
    const [id, hash] = await this.#redis.hmget(claimKey(this.#keySpace, tenant, sha256(key)), "id", "hash");
    if (typeof id !== "string") return undefined;
    return { type: hash === sha256(canonicalJson(request)) ? "repeated" : "conflict", id };
  }

  /** Binds the key, or tells what it is bound to. One atomic step; safe to repeat. */
  async claim({ tenant, key, request, id }: ClaimRequest): Promise<Claim> {
    const hash = sha256(canonicalJson(request));
    const [boundId, boundHash] = await bind.run(this.#redis, {
      key: claimKey(this.#keySpace, tenant, sha256(key)),
      id,
      hash,
    });
    if (boundHash !== hash) return { type: "conflict", id: boundId };
    return { type: boundId === id ? "new" : "repeated", id: boundId };
  }
}
