/**
 * Which calls were made for a job, and whether one is in flight: so that no two workers pay for the same answer, and
 * a job that keeps killing its workers ends. Per job one hash in Redis.
 *
 * Calls per job that may have been paid <= `maxCalls` while its pool answers others: failed ones, cut ones, and those that
 * died with their process (or with its connection to Redis, for longer than a heartbeat). What was refused, and what failed
 * while the pool answered nobody, is given back and does not count.
 */
import { randomUUID } from "node:crypto";
import { NewerVersionError } from "@sluice/job";
import { defineScript, type KeySpace, type Script } from "@sluice/redis";
import type { Redis } from "ioredis";
import { z } from "zod";
import { HEARTBEAT_TTL_MS } from "./heartbeat.ts";
import { heartbeatKeys, ledgerKey, outcomeKey } from "./keys.ts";
import { VERSIONS } from "./stored.ts";

/** Longer than the longest deadline of a job, which may pause between two of its calls for as long as it lives. */
const ENTRY_TTL_MS = 31 * 24 * 60 * 60 * 1000;

export interface Begin {
  readonly id: string;
  /** `Heartbeat.owner` of this process, whose heartbeat runs. */
  readonly owner: string;
  /** Calls that the job may have in all. */
  readonly maxCalls: number;
  /**
   * How long the call counts as in flight at most, milliseconds, also if its owner lives on: an owner that could not
   * close its entry would block the job for ever. Longer than the call's timeout and the time to store its answer.
   */
  readonly leaseMs: number;
}

export type Permission =
  /**
   * Send it: this is the job's `call`-th. `lost` earlier ones were in flight when their owner died; `justLost`: the last
   * one was, which nobody had found out before.
   */
  | { readonly type: "go"; readonly call: number; readonly lost: number; readonly justLost: boolean }
  /** A call is in flight, or may be. Ask again then, or sooner: the job may have ended by that time. */
  | { readonly type: "busy"; readonly retryAfterMs: number }
  /** The job has had all its calls. */
  | { readonly type: "cap"; readonly calls: number }
  /** The job has an outcome. */
  | { readonly type: "ended" };

const RECORD = "call ledger";

const beginReply = z.union([
  z
    .tuple([z.literal("go"), z.number(), z.number(), z.number()])
    .transform(([type, call, lost, justLost]) => ({ type, call, lost, justLost: justLost === 1 })),
  z.tuple([z.literal("busy"), z.number()]).transform(([type, retryAfterMs]) => ({ type, retryAfterMs })),
  z.tuple([z.literal("cap"), z.number()]).transform(([type, calls]) => ({ type, calls })),
  z.tuple([z.literal("ended")]).transform(([type]) => ({ type })),
  z.tuple([z.literal("newer"), z.number()]).transform(([, version]): never => {
    throw new NewerVersionError(RECORD, version, VERSIONS[RECORD]);
  }),
]);

const begin: Script<Begin & { run: string; keySpace: KeySpace; graceMs: number }, Permission> = defineScript(
  new URL("../lua/ledger-begin.lua", import.meta.url),
  ({ keySpace, id, owner, run, maxCalls, leaseMs, graceMs }) => ({
    keys: [ledgerKey(keySpace, id), outcomeKey(keySpace, id), ...heartbeatKeys(keySpace)],
    argv: [owner, run, maxCalls, leaseMs, graceMs, ENTRY_TTL_MS, VERSIONS[RECORD]],
  }),
  (reply) => beginReply.parse(reply),
  // A job in hand can end only after its call, and only what ends makes room.
  { whenFull: true },
);

const end: Script<{ key: string; owner: string; change: 0 | -1 }, boolean> = defineScript(
  new URL("../lua/ledger-end.lua", import.meta.url),
  ({ key, owner, change }) => ({ keys: [key], argv: [owner, change] }),
  (reply) => reply === 1,
  { whenFull: true },
);

export interface CallLedgerOptions {
  readonly redis: Redis;
  readonly keySpace: KeySpace;
  /**
   * After a silence of the whole fleet: for how long nobody is declared dead, milliseconds, from the first beat that
   * is heard again. Time for everyone to reconnect, beat, and store the answer it holds. Default `HEARTBEAT_TTL_MS`.
   */
  readonly graceMs?: number;
}

export class CallLedger {
  readonly #redis: Redis;
  readonly #keySpace: KeySpace;
  readonly #graceMs: number;
  /** Questions that may have been granted although nobody heard it, by owner and job. */
  readonly #unanswered = new Map<string, string>();

  constructor({ redis, keySpace, graceMs = HEARTBEAT_TTL_MS }: CallLedgerOptions) {
    this.#redis = redis;
    this.#keySpace = keySpace;
    this.#graceMs = graceMs;
  }

  /**
   * Asks to send a call, right before it is sent. After `go` exactly one of `OutcomeStore.putAndClose`, `end` and
   * `abandon` follows. When it rejects it may have been granted: ask again, which is the same question then, or
   * `abandon`.
   */
  async begin(asked: Begin): Promise<Permission> {
    const question = `${asked.owner} ${asked.id}`;
    const run = this.#unanswered.get(question) ?? randomUUID();
    this.#unanswered.delete(question);
    try {
      return await begin.run(this.#redis, {
        ...asked,
        run,
        keySpace: this.#keySpace,
        graceMs: this.#graceMs,
      });
    } catch (error) {
      this.#unanswered.set(question, run);
      throw error;
    }
  }

  /**
   * The call is over and counts; without an outcome the job may be called again. With one, prefer
   * `OutcomeStore.putAndClose`. Resolves to whether the call in flight was this owner's. Safe to repeat.
   */
  async end({ id, owner }: { id: string; owner: string }): Promise<boolean> {
    return this.#close(id, owner, 0);
  }

  /** The call was never sent, or was refused and costs nothing: it does not count. Otherwise as `end`. */
  async abandon({ id, owner }: { id: string; owner: string }): Promise<boolean> {
    return this.#close(id, owner, -1);
  }

  async #close(id: string, owner: string, change: 0 | -1): Promise<boolean> {
    this.#unanswered.delete(`${owner} ${id}`);
    return end.run(this.#redis, { key: ledgerKey(this.#keySpace, id), owner, change });
  }
}
