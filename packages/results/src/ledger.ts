/**
 * Which calls were made for a job, and whether one is in flight: so that no two workers pay for the same answer, and
 * a job that keeps killing its workers ends. Per job one hash in Redis, which also names what each call holds of the
 * quota until it is settled: a call whose process died is settled by whoever meets its job next.
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
import { doubtsKey, heartbeatKeys, ledgerKey, outcomeKey } from "./keys.ts";
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
  /** What the call holds of the quota. Default: nothing, since it is none to a model. */
  readonly held?: HeldQuota | undefined;
}

/** What a call holds of the quota, for whoever finds that nobody will settle it. */
export interface HeldQuota {
  /** The name of the reservation. */
  readonly reservation: string;
  /** What to settle it with when nobody hears how the call ended, by dimension. One that is left out counts as reserved. */
  readonly ifLost: Readonly<Record<string, number>>;
}

export type Permission =
  /**
   * Send it: this is the job's `call`-th. `lost` earlier ones were in flight when their owner died. `left`: what they
   * hold and nobody has settled; settle it and `forget` it. `unnamed`: the last one was found to be lost just now, and
   * its owner, of the version before, has not said what it holds.
   */
  | {
      readonly type: "go";
      readonly call: number;
      readonly lost: number;
      readonly left: readonly HeldQuota[];
      readonly unnamed: boolean;
    }
  /** A call is in flight, or may be. Ask again then, or sooner: the job may have ended by that time. */
  | { readonly type: "busy"; readonly retryAfterMs: number }
  /** The job has had all its calls. */
  | { readonly type: "cap"; readonly calls: number; readonly left: readonly HeldQuota[] }
  /** The job has an outcome. */
  | { readonly type: "ended" };

const RECORD = "call ledger";
/** In the entry: `held:<reservation>` is the run, a space, and the costs as JSON. */
const HELD = "held:";

const costsSchema = z.record(z.string(), z.number());

/** Costs that cannot be read are those that were reserved. */
function heldQuota(reservation: string, stored: string): HeldQuota {
  try {
    return { reservation, ifLost: costsSchema.parse(JSON.parse(stored)) };
  } catch {
    return { reservation, ifLost: {} };
  }
}

/** Pairs of a name and what is stored under it. */
const leftReply = z.array(z.string()).transform((pairs) => {
  const left: HeldQuota[] = [];
  for (let index = 0; index + 1 < pairs.length; index += 2) {
    left.push(heldQuota(pairs[index] ?? "", pairs[index + 1] ?? ""));
  }
  return left;
});

const beginReply = z.union([
  z
    .tuple([z.literal("go"), z.number(), z.number(), z.number(), leftReply])
    .transform(([type, call, lost, unnamed, left]) => ({ type, call, lost, left, unnamed: unnamed === 1 })),
  z.tuple([z.literal("busy"), z.number()]).transform(([type, retryAfterMs]) => ({ type, retryAfterMs })),
  z
    .tuple([z.literal("cap"), z.number(), leftReply])
    .transform(([type, calls, left]) => ({ type, calls, left })),
  z.tuple([z.literal("ended")]).transform(([type]) => ({ type })),
  z.tuple([z.literal("newer"), z.number()]).transform(([, version]): never => {
    throw new NewerVersionError(RECORD, version, VERSIONS[RECORD]);
  }),
]);

const begin: Script<Begin & { run: string; keySpace: KeySpace; graceMs: number }, Permission> = defineScript(
  new URL("../lua/ledger-begin.lua", import.meta.url),
  ({ keySpace, id, owner, run, maxCalls, leaseMs, graceMs, held }) => ({
    keys: [
      ledgerKey(keySpace, id),
      outcomeKey(keySpace, id),
      ...heartbeatKeys(keySpace),
      doubtsKey(keySpace),
    ],
    argv: [
      owner,
      run,
      maxCalls,
      leaseMs,
      graceMs,
      ENTRY_TTL_MS,
      id,
      held?.reservation ?? "",
      JSON.stringify(held?.ifLost ?? {}),
      VERSIONS[RECORD],
    ],
  }),
  (reply) => beginReply.parse(reply),
  // A job in hand can end only after its call, and only what ends makes room.
  { whenFull: true },
);

interface End {
  readonly key: string;
  readonly owner: string;
  /** '' for whichever is in flight. */
  readonly run: string;
  readonly change: 0 | -1;
  readonly settled: boolean;
}

const end: Script<End, boolean> = defineScript(
  new URL("../lua/ledger-end.lua", import.meta.url),
  ({ key, owner, run, change, settled }) => ({ keys: [key], argv: [owner, change, settled ? 1 : 0, run] }),
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
  /** Jobs that this process has a call for, or may have, with its run, '' for one of two: asked for, not known to be over. */
  readonly #open = new Map<string, string>();

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
    const had = this.#open.has(asked.id);
    if (!had) this.#open.set(asked.id, run);
    try {
      const permission = await begin.run(this.#redis, {
        ...asked,
        run,
        keySpace: this.#keySpace,
        graceMs: this.#graceMs,
      });
      if (permission.type === "go") this.#open.set(asked.id, run);
      else if (!had) this.#over(asked.id, run);
      return permission;
    } catch (error) {
      this.#unanswered.set(question, run);
      if (had && this.#open.get(asked.id) !== run) this.#open.set(asked.id, "");
      throw error;
    }
  }

  /**
   * The call is over and counts, and what it held is settled; without an outcome the job may be called again. With one, prefer
   * `OutcomeStore.putAndClose`. Resolves to whether the call in flight was this owner's. Safe to repeat.
   */
  async end({ id, owner }: { id: string; owner: string }): Promise<boolean> {
    return this.#close(id, owner, 0);
  }

  /** The call was never sent, or was refused and costs nothing: it does not count. Otherwise as `end`. */
  async abandon({ id, owner }: { id: string; owner: string }): Promise<boolean> {
    return this.#close(id, owner, -1);
  }

  /** What calls of the job hold that nobody has settled, whoever made them: of a job that has ended, or ends now. */
  async left(id: string): Promise<HeldQuota[]> {
    const fields = await this.#redis.hgetall(ledgerKey(this.#keySpace, id));
    return Object.entries(fields).flatMap(([field, stored]) =>
      field.startsWith(HELD)
        ? [heldQuota(field.slice(HELD.length), stored.slice(stored.indexOf(" ") + 1))]
        : [],
    );
  }

  /** These are settled. */
  async forget(id: string, reservations: readonly string[]): Promise<void> {
    if (reservations.length === 0) return;
    const fields = reservations.map((reservation) => HELD + reservation);
    await this.#redis.hdel(ledgerKey(this.#keySpace, id), ...fields);
  }

  /** The call was closed with its outcome, by `OutcomeStore.putAndClose`. */
  closed(id: string): void {
    this.#open.delete(id);
  }

  /**
   * Confirms or denies the calls that others wait for and that Redis has under this owner's name; what it denies may be
   * called again at once. Call it every few seconds. Resolves to the jobs that were denied.
   */
  async answerDoubts(owner: string): Promise<readonly string[]> {
    const key = doubtsKey(this.#keySpace);
    const asked = Object.entries(await this.#redis.hgetall(key)).filter(([, of]) => of === owner);
    const denied: string[] = [];
    for (const [id] of asked) {
      if (await this.#deny(id, owner)) denied.push(id);
      await this.#redis.hdel(key, id);
    }
    return denied;
  }

  /** Ends a call that this process does not have. By its run: the job may be called from here before that is done. */
  async #deny(id: string, owner: string): Promise<boolean> {
    const key = ledgerKey(this.#keySpace, id);
    const run = await this.#redis.hget(key, "run");
    if (run === null || this.#open.has(id)) return false;
    // What it held was brought back with it.
    return end.run(this.#redis, { key, owner, run, change: 0, settled: false });
  }

  async #close(id: string, owner: string, change: 0 | -1): Promise<boolean> {
    this.#unanswered.delete(`${owner} ${id}`);
    const key = ledgerKey(this.#keySpace, id);
    const run = this.#open.get(id) ?? "";
    const wasOurs = await end.run(this.#redis, { key, owner, run, change, settled: true });
    this.#over(id, run);
    return wasOurs;
  }

  /** Unless another call has been begun since. */
  #over(id: string, run: string): void {
    if (this.#open.get(id) === run) this.#open.delete(id);
  }
}
