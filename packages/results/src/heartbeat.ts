/**
 * Says for a process that it lives. Calls in flight are its own only as long as it does, and whether it does is
 * judged by Redis alone, on its clock.
 *
 * The times hang together. A beat comes every sixth of the time to live. A silence of the whole fleet of more than a
 * third of it counts as a gap: an outage. A shorter outage cannot make a live process look dead, since for that it
 * would have to miss more than the gap, two beats and a reconnect (at most 1 s) together; after a longer one the
 * ledger waits for its grace.
 */
import { randomUUID } from "node:crypto";
import { defineScript, type KeySpace, type Script } from "@sluice/redis";
import type { Redis } from "ioredis";
import { heartbeatKeys } from "./keys.ts";

/** How long after its last beat a process counts as alive, milliseconds. */
export const HEARTBEAT_TTL_MS: number = 12_000;

const beat: Script<{ keys: readonly string[]; owner: string; ttlMs: number }, boolean> = defineScript(
  new URL("../lua/heartbeat.lua", import.meta.url),
  ({ keys, owner, ttlMs }) => ({ keys, argv: [owner, ttlMs, Math.ceil(ttlMs / 3)] }),
  (reply) => reply === 1,
  // A full Redis must not make its workers look dead.
  { whenFull: true },
);

export interface HeartbeatOptions {
  /** Its commands need a bound in time (profile `command`): a beat that hangs is a beat that is missed. */
  readonly redis: Redis;
  readonly keySpace: KeySpace;
  /** A beat that failed. The next one is due as ever. */
  readonly onError: (error: unknown) => void;
  /** The same in the whole fleet. Default `HEARTBEAT_TTL_MS`. Shorter: crashes are noticed sooner, stutters too. */
  readonly ttlMs?: number;
}

/** The processes that are alive, by the clock of Redis: whoever beats. */
export async function aliveOwners(redis: Redis, keySpace: KeySpace): Promise<readonly string[]> {
  const [owners] = heartbeatKeys(keySpace);
  // Beats that have expired are dropped by the next beat: with none for a while the key itself is gone.
  const [seconds, micros] = await redis.time();
  const now = Number(seconds) * 1_000 + Math.floor(Number(micros) / 1_000);
  return redis.zrangebyscore(owners, `(${now}`, "+inf");
}

/** One per process and key space. */
export class Heartbeat {
  /** Names this process, in this life of it. */
  readonly owner: string = randomUUID();
  readonly #options: HeartbeatOptions;
  readonly #ttlMs: number;
  #timer: NodeJS.Timeout | undefined;
  #beating: Promise<void> | undefined;

  constructor(options: HeartbeatOptions) {
    this.#options = options;
    this.#ttlMs = options.ttlMs ?? HEARTBEAT_TTL_MS;
  }

  /** Starts to beat. Resolves after the first beat, whether or not it was heard: failures go to `onError`. */
  async start(): Promise<void> {
    this.#timer ??= setInterval(() => void this.#beat(), this.#ttlMs / 6);
    await this.#beat();
  }

  /**
   * The process says that it is done: its calls may be repeated at once. Close them first. Never rejects; when Redis
   * does not hear it, the last beat expires.
   */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#timer = undefined;
    // A beat that arrives after the farewell would be taken for life.
    await this.#beating;
    const [owners] = heartbeatKeys(this.#options.keySpace);
    await this.#options.redis.zrem(owners, this.owner).catch(this.#options.onError);
  }

  /** One at a time: a beat that waits for Redis to come back is as good as another. */
  async #beat(): Promise<void> {
    this.#beating ??= this.#send().finally(() => {
      this.#beating = undefined;
    });
    await this.#beating;
  }

  async #send(): Promise<void> {
    const { redis, keySpace, onError } = this.#options;
    try {
      await beat.run(redis, { keys: heartbeatKeys(keySpace), owner: this.owner, ttlMs: this.#ttlMs });
    } catch (error) {
      onError(error);
    }
  }
}
