/**
 * Cancellation from anywhere: a durable flag per job, looked at wherever a job takes a step, and a nudge to the
 * process that may be calling for it. The flag is the truth; a lost nudge costs time, not the cancellation.
 */
import { connectionOptions, defineScript, type KeySpace, type Script } from "@sluice/redis";
import type { Redis } from "ioredis";
import { z } from "zod";
import { cancelChannel, cancelKey, outcomeKey } from "./keys.ts";

/** Longer than the longest deadline of a job: a job that waits for weeks must not forget it was cancelled. */
const FLAG_TTL_MS = 31 * 24 * 60 * 60 * 1000;

/** An idle connection that went dead is found out by asking it, milliseconds. */
const PING_EVERY_MS = 10_000;

/** Who asked first, and when, in milliseconds since the epoch. */
export interface Cancellation {
  readonly by: string;
  readonly at: number;
}

const flagSchema = z.object({ by: z.string(), at: z.int() });

/** `ended`: the job has an outcome or has failed, and is not cancelled. Else it will end as cancelled; `first`: nobody had asked before. */
export type CancelReply = "first" | "again" | "ended";

const replySchema = z.enum(["first", "again", "ended"]);

interface CancelRequest {
  readonly keySpace: KeySpace;
  readonly id: string;
  readonly by: string;
  readonly failedSets: readonly string[];
}

const cancel: Script<CancelRequest, CancelReply> = defineScript(
  new URL("../lua/cancel.lua", import.meta.url),
  ({ keySpace, id, by, failedSets }) => ({
    keys: [cancelKey(keySpace, id), outcomeKey(keySpace, id), ...failedSets],
    argv: [by, FLAG_TTL_MS, cancelChannel(keySpace), id],
  }),
  (reply) => replySchema.parse(reply),
  // Cancelling is a way to make room.
  { whenFull: true },
);

export interface CancelListener {
  /** A job was cancelled. It may be anyone's, or over, and may be told twice. */
  readonly onCancel: (id: string) => void;
  /** The jobs in hand: asked after every (re)connect, to make up for nudges that were missed. Default: none. */
  readonly inHand?: () => Iterable<string>;
  /** The connection failed; it comes back by itself. */
  readonly onError: (error: unknown) => void;
}

export interface CancelSubscription {
  /** Resolves when nudges arrive for the first time. */
  readonly ready: Promise<void>;
  stop(): void;
}

export class CancelFlags {
  readonly #redis: Redis;
  readonly #keySpace: KeySpace;

  constructor(redis: Redis, keySpace: KeySpace) {
    this.#redis = redis;
    this.#keySpace = keySpace;
  }

  /**
   * Raises the flag and nudges everyone, unless the job has ended. Safe to repeat.
   * @param by who asks, for the record.
   * @param failedSets keys of the sets in which the job is once it has failed. Default: none is looked at.
   */
  async request(id: string, by: string, failedSets: readonly string[] = []): Promise<CancelReply> {
    return cancel.run(this.#redis, { keySpace: this.#keySpace, id, by, failedSets });
  }

  async isRequested(id: string): Promise<boolean> {
    return (await this.find(id)) !== undefined;
  }

  /** Rejects when the stored flag is not one of ours. */
  async find(id: string): Promise<Cancellation | undefined> {
    const flag = await this.#redis.get(cancelKey(this.#keySpace, id));
    return flag === null ? undefined : flagSchema.parse(JSON.parse(flag));
  }

  /** Listens for nudges on a connection of its own, until `stop`. */
  subscribe({ onCancel, inHand = () => [], onError }: CancelListener): CancelSubscription {
    const redis = this.#redis.duplicate({
      ...connectionOptions("worker"),
      commandTimeout: undefined,
      // We do it, on every connect, to know when.
      autoResubscribe: false,
    });
    const { promise: ready, resolve } = Promise.withResolvers<void>();
    const listen = async (): Promise<void> => {
      await redis.subscribe(cancelChannel(this.#keySpace));
      resolve();
      for (const id of inHand()) if (await this.isRequested(id)) onCancel(id);
    };
    redis.on("ready", () => void listen().catch(onError));
    const hear = (_channel: string, id: string): void => onCancel(id);
    redis.on("message", hear);
    redis.on("error", onError);
    const pinging = setInterval(() => void redis.ping().catch(onError), PING_EVERY_MS);
    return {
      ready,
      stop: () => {
        clearInterval(pinging);
        // What has arrived already is read after the disconnect.
        redis.off("message", hear);
        redis.disconnect();
      },
    };
  }
}
