/**
 * Answers to requests that were asked before, and one call for equal requests that are asked at the same time.
 * Opt-in: a model that is asked twice may well be meant to answer twice. Tenants never see each other's answers.
 */
import { answerSchema, NewerVersionError, type Answer, type Clock } from "@sluice/job";
import { defineScript, type KeySpace, type Script } from "@sluice/redis";
import type { Redis } from "ioredis";
import { z } from "zod";
import { canonicalJson, sha256 } from "./canonical-json.ts";
import { cacheKeys } from "./keys.ts";
import { OutcomeStore } from "./outcomes.ts";
import { readStored, writeStored } from "./stored.ts";

export interface CachedRequest {
  readonly tenant: string;
  readonly pool: string;
  /** The model or inference profile: a pool that moves to another one starts afresh. */
  readonly model: string;
  /** All that the answer depends on, the kind of call included. */
  readonly request: unknown;
}

/**
 * Longest answer that is kept for others, in characters of its JSON. Longer ones are rare, and would take the room of
 * hundreds of others.
 */
export const LONGEST_CACHED: number = 256 * 1024;

/** The key of a request: equal for equal requests of a tenant to a model, whatever the order of their fields. */
export function cacheKey({ tenant, pool, model, request }: CachedRequest): string {
  return `${tenant}:${pool}:${sha256(canonicalJson({ model, request }))}`;
}

export type Share =
  /** Call, then `put` or `release`. */
  | { readonly type: "leader" }
  | { readonly type: "hit"; readonly answer: Answer }
  /** Another job calls. Ask again; at the latest in `retryAfterMs`, when it is given up for dead. */
  | { readonly type: "follow"; readonly leader: string; readonly retryAfterMs: number };

const leadReply = z.union([
  z.tuple([z.literal("leader")]),
  z.tuple([z.literal("hit"), z.string()]),
  z.tuple([z.literal("follow"), z.string(), z.number()]),
]);

function shareOf(reply: z.infer<typeof leadReply>): Share {
  switch (reply[0]) {
    case "leader":
      return { type: "leader" };
    case "hit":
      return hitOf(reply[1]);
    case "follow":
      return { type: "follow", leader: reply[1], retryAfterMs: reply[2] };
  }
}

/** An answer that only a newer version of Sluice can give is none here: the call is made, and its answer kept instead. */
function hitOf(stored: string): Share {
  try {
    return { type: "hit", answer: answerOf(stored) };
  } catch (error) {
    if (error instanceof NewerVersionError) return { type: "leader" };
    throw error;
  }
}

function answerOf(stored: string): Answer {
  return readStored("cached answer", answerSchema, stored, "A cached answer");
}

type Keys = readonly [answer: string, leader: string];

const lead: Script<{ keys: Keys; jobId: string; ttlMs: number; over?: string }, Share> = defineScript(
  new URL("../lua/cache-lead.lua", import.meta.url),
  ({ keys, jobId, ttlMs, over = "" }) => ({ keys, argv: [jobId, ttlMs, over] }),
  (reply) => shareOf(leadReply.parse(reply)),
  // Every job in hand asks, and must go on. What is kept is an id.
  { whenFull: true },
);

const put: Script<{ keys: Keys; jobId: string; answer: string; ttlMs: number }, void> = defineScript(
  new URL("../lua/cache-put.lua", import.meta.url),
  ({ keys, jobId, answer, ttlMs }) => ({ keys, argv: [jobId, answer, ttlMs] }),
  () => {},
);

export class ResponseCache {
  readonly #redis: Redis;
  readonly #keySpace: KeySpace;
  readonly #outcomes: OutcomeStore;
  readonly #clock: Clock;

  /** @param clock the time that outcomes have. */
  constructor(redis: Redis, keySpace: KeySpace, clock: Clock) {
    this.#clock = clock;
    this.#redis = redis;
    this.#keySpace = keySpace;
    this.#outcomes = new OutcomeStore(redis, keySpace);
  }

  /** Rejects when the stored answer is not one of ours. */
  async get(key: string): Promise<Answer | undefined> {
    const [answer] = this.#keys(key);
    const stored = await this.#redis.get(answer);
    return stored === null ? undefined : answerOf(stored);
  }

  /**
   * Asks for the answer, or for the right to get it, right before the call. Safe to repeat: the leader stays leader until
   * it has ended, however it did. Who follows looks: a job that ends outside of a worker, or whose worker dies, releases
   * nothing.
   * @param ask.ttlMs the leader's lease, milliseconds: longer than it can take to end. Then the next who asks leads.
   * @param ask.answerMs how long an answer may be given, milliseconds.
   */
  async lead(ask: { key: string; jobId: string; ttlMs: number; answerMs: number }): Promise<Share> {
    const { key, jobId, ttlMs, answerMs } = ask;
    const asked = { keys: this.#keys(key), jobId, ttlMs };
    const share = await lead.run(this.#redis, asked);
    if (share.type !== "follow") return share;
    const ended = await this.#outcomes.get(share.leader);
    if (ended === undefined) return share;
    const leftMs = ended.endedAt + answerMs - this.#clock();
    if (ended.outcome !== "completed" || leftMs <= 0) {
      return lead.run(this.#redis, { ...asked, over: share.leader });
    }
    // Its worker died between the two, or is about to do this itself. Whoever asks next can do without, too.
    await this.put({ key, jobId: share.leader, answer: ended.answer, ttlMs: leftMs }).catch(() => {});
    return { type: "hit", answer: ended.answer };
  }

  /**
   * Keeps an answer worth giving twice (not a filtered or cut one), and ends the job's lead. An answer longer than
   * `LONGEST_CACHED` is not kept, nor is any by a full Redis: then the lead ends all the same, and the put rejects.
   * @param kept.ttlMs how long it may be given, milliseconds.
   */
  async put(kept: { key: string; jobId: string; answer: Answer; ttlMs: number }): Promise<void> {
    const { key, jobId, ttlMs } = kept;
    const answer = writeStored("cached answer", kept.answer);
    if (answer.length > LONGEST_CACHED) return this.release({ key, jobId });
    try {
      await put.run(this.#redis, { keys: this.#keys(key), jobId, answer, ttlMs });
    } catch (error) {
      await this.release({ key, jobId });
      throw error;
    }
  }

  /** The job that is being answered this request; `undefined` when none is. */
  async leader(key: string): Promise<string | undefined> {
    const [, leader] = this.#keys(key);
    return (await this.#redis.get(leader)) ?? undefined;
  }

  /** The leader has no answer to share: the next who asks leads, at once. Nothing happens to another's lead. */
  async release({ key, jobId }: { key: string; jobId: string }): Promise<void> {
    await put.run(this.#redis, { keys: this.#keys(key), jobId, answer: "", ttlMs: 0 });
  }

  #keys(key: string): Keys {
    return cacheKeys(this.#keySpace, key);
  }
}
