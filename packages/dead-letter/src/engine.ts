/**
 * Decisions from `transitions.ts` carried out on a storage by compare and set. Read the letter, decide, write if
 * nobody wrote meanwhile, otherwise read again. No lock, no transaction.
 */
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { jobDataSchema, parseJobId, type JobData } from "@sluice/job";
import { DeadLetterError } from "./errors.ts";
import { checkPreview, previewOf } from "./preview.ts";
import { checkLimit } from "./query.ts";
import {
  ACTOR_LIMIT,
  isExpired,
  letterSchema,
  LETTER_VERSION,
  NOTE_LIMIT,
  recordId,
  type DeadLetter,
  type Letter,
} from "./record.ts";
import type { Storage, Stored } from "./storage.ts";
import {
  STORE_DEFAULTS,
  type Change,
  type ClaimResult,
  type DeadLetterStore,
  type Purge,
  type StoreOptions,
} from "./store.ts";
import * as transitions from "./transitions.ts";
import type { Decision } from "./transitions.ts";

/** Each round of a collision has a winner, so this many rounds means something is badly wrong. */
const MAX_ROUNDS = 30;
const BACKOFF_MS = 10;

const NOT_FOUND = { outcome: "refused", reason: "not-found" } as const;
const UNREADABLE = { outcome: "refused", reason: "unreadable" } as const;

/** A store on a storage. Applications use `createDynamoDbStore` or `createMemoryStore`. */
export function createStore<Body>(storage: Storage<Body>, options: StoreOptions = {}): DeadLetterStore {
  const { letters, index, bodies } = storage;
  const {
    preview = STORE_DEFAULTS.preview,
    retentionMs = STORE_DEFAULTS.retentionMs,
    now = Date.now,
    random = Math.random,
  } = options;
  checkPreview(preview);
  checkPositive("retentionMs", retentionMs);

  /** Tries `round` until it did not lose against another writer. */
  async function untilSettled<Result>(id: string, round: () => Promise<Result | undefined>): Promise<Result> {
    for (let attempt = 1; attempt <= MAX_ROUNDS; attempt++) {
      const result = await round();
      if (result !== undefined) return result;
      await sleep(random() * BACKOFF_MS * attempt);
    }
    throw new DeadLetterError("contended", `Dead letter '${id}' kept changing over ${MAX_ROUNDS} attempts`);
  }

  /** The letter as the living see it. */
  async function current(id: string): Promise<Stored<Body> | undefined> {
    const stored = await letters.load(id);
    return stored === undefined || isExpired(stored.letter, now()) ? undefined : stored;
  }

  /**
   * The record that an operator means. An id of nobody's may end like that of a replay, and be a record of its own all the
   * same: versions before kept the deaths of foreign jobs' replays so.
   */
  async function recordOf(id: string): Promise<string> {
    const record = recordId(id);
    if (record === id || parseJobId(id) !== undefined) return record;
    return (await letters.load(id)) === undefined ? record : id;
  }

  /** Opens a body; `undefined` when the letter that named it has been replaced since it was read. */
  async function openBody({ letter, body }: Stored<Body>): Promise<JobData | undefined> {
    const data = await bodies.open(letter.id, body);
    if (data !== undefined) return data;
    const again = await letters.load(letter.id);
    if (again?.letter.revision !== letter.revision) return undefined;
    throw new DeadLetterError("corrupt", `Dead letter '${letter.id}' has lost the data of its job`);
  }

  async function withPreview(letter: Letter, data: JobData): Promise<Letter> {
    const text = await previewOf(data, preview);
    return text === undefined ? letter : { ...letter, preview: text };
  }

  /** Writes a decided letter in place of the one it was decided upon; `undefined` when another writer was faster. */
  async function commit<Next extends Letter>(
    next: Next,
    body: Body,
    before?: Stored<Body>,
  ): Promise<Next | undefined> {
    const letter = { ...next, version: LETTER_VERSION, revision: randomUUID() };
    // What could not be read back is not written.
    letterSchema.parse(letter);
    return (await letters.save({ letter, body }, before?.letter.revision)) ? letter : undefined;
  }

  /** Deletes what the committed letter has replaced. It is committed: failing to tidy up must not fail it. */
  async function dropReplaced({ letter, body }: Stored<Body>, after: Body): Promise<void> {
    await bodies.drop(letter.id, body, after).catch(() => undefined);
  }

  /** Carries out a decision on a letter. With `rewrite`, the job's data is replaced along with it. */
  async function change(
    record: string,
    decide: (letter: Letter, now: number) => Decision,
    rewrite?: (data: JobData) => JobData,
  ): Promise<Change> {
    return untilSettled<Change>(record, async () => {
      const stored = await current(record);
      if (stored === undefined) return NOT_FOUND;
      const time = now();
      const decision = decide(stored.letter, time);
      if (decision.decision === "keep") return { outcome: "already-done" };
      if (decision.decision === "refuse") return { outcome: "refused", reason: decision.reason };
      if (rewrite === undefined) {
        const letter = await commit(decision.letter, stored.body, stored);
        return letter && { outcome: "done", letter };
      }
      const before = await openBody(stored);
      if (before === undefined) return undefined;
      const data = jobDataSchema.parse(rewrite(before));
      const body = await bodies.seal(record, data, time);
      const letter = await commit(await withPreview(decision.letter, data), body, stored);
      if (letter !== undefined) await dropReplaced(stored, body);
      return letter && { outcome: "done", letter };
    });
  }

  return {
    async put(death) {
      const data = jobDataSchema.parse(death.data);
      const id = recordId(data.id);
      return untilSettled(id, async () => {
        const stored = await letters.load(id);
        const decision = transitions.die(stored?.letter, death, now());
        if (decision.decision !== "change") return "already-stored";
        if (stored !== undefined && transitions.isStray(stored.letter, death)) {
          return (await commit(decision.letter, stored.body, stored)) && "stored";
        }
        const body = await bodies.seal(id, data, death.diedAt);
        const letter = await commit(await withPreview(decision.letter, data), body, stored);
        if (letter !== undefined && stored !== undefined) await dropReplaced(stored, body);
        return letter && "stored";
      });
    },

    async get(id) {
      const record = await recordOf(id);
      const { found } = await untilSettled<{ found: DeadLetter | undefined }>(record, async () => {
        const stored = await current(record);
        if (stored === undefined) return { found: undefined };
        const data = await openBody(stored);
        return data && { found: { ...stored.letter, data } };
      });
      return found;
    },

    async look(id) {
      return (await current(await recordOf(id)))?.letter;
    },

    async list(query) {
      checkLimit(query.limit);
      return index.list(query, now());
    },

    async count(query) {
      return index.count(query, now());
    },

    classes: () => index.classes(),

    async claim(id, command) {
      const by = checkedText("by", command.by, ACTOR_LIMIT);
      checkPositive("leaseMs", command.leaseMs);
      const record = recordId(id);
      return untilSettled<ClaimResult>(record, async () => {
        const stored = await current(record).catch(orCorrupt);
        if (stored === "corrupt") return UNREADABLE;
        if (stored === undefined) return NOT_FOUND;
        const decision = transitions.claim(stored.letter, { ...command, by }, now());
        if (decision.decision !== "change") {
          return { outcome: "refused", reason: decision.decision === "refuse" ? decision.reason : "state" };
        }
        // Opened before the claim is written: what cannot be read is never claimed, and an edit that slips in
        // between makes the write fail, so the data handed over is the data that was claimed.
        const data = await openBody(stored).catch(orCorrupt);
        if (data === "corrupt") return UNREADABLE;
        if (data === undefined) return undefined;
        const letter = await commit(decision.letter, stored.body, stored);
        return letter && { outcome: "claimed", letter, data: { ...data, id: letter.claim.jobId } };
      });
    },

    async release(id, { jobId, by: name, note: reason }) {
      const by = checkedText("by", name, ACTOR_LIMIT);
      const note = checkedText("note", reason, NOTE_LIMIT);
      return change(recordId(id), (letter, time) => transitions.release(letter, { jobId, by, note }, time));
    },

    async resolve(jobId) {
      const result = await change(recordId(jobId), (letter, time) =>
        transitions.resolve(letter, jobId, time, retentionMs),
      );
      if (result.outcome !== "refused") {
        // Also when repeated: a crash between the letter and its body is repaired by the next call.
        const stored = await letters.load(recordId(jobId));
        if (stored?.letter.state === "resolved") {
          await bodies.expire(stored.letter.id, stored.body, stored.letter.expiresAt);
        }
      }
      return result;
    },

    async park(id, command) {
      const by = checkedText("by", command.by, ACTOR_LIMIT);
      const note = command.note === undefined ? undefined : checkedText("note", command.note, NOTE_LIMIT);
      return change(await recordOf(id), (letter, time) => transitions.park(letter, by, note, time));
    },

    async unpark(id, command) {
      const by = checkedText("by", command.by, ACTOR_LIMIT);
      return change(await recordOf(id), (letter, time) => transitions.unpark(letter, by, time));
    },

    async note(id, command) {
      const by = checkedText("by", command.by, ACTOR_LIMIT);
      const note = checkedText("note", command.note, NOTE_LIMIT);
      return change(await recordOf(id), (letter, time) => transitions.annotate(letter, by, note, time));
    },

    async edit(id, { by: name, revision, payload }) {
      const by = checkedText("by", name, ACTOR_LIMIT);
      return change(
        await recordOf(id),
        (letter, time) => transitions.edit(letter, by, revision, time),
        (data) => ({ ...data, payload }),
      );
    },

    async purge(id, { revision }) {
      const record = await recordOf(id);
      return untilSettled<Purge>(record, async () => {
        const stored = await current(record).catch(orCorrupt);
        if (stored === undefined) return NOT_FOUND;
        if (stored !== "corrupt") {
          const decision = transitions.purge(stored.letter, revision);
          if (decision.decision === "refuse") return { outcome: "refused", reason: decision.reason };
        }
        // Found before the letter goes: a death that is put right after it keeps what it writes.
        const disposeOfBodies = await bodies.disposal(record);
        if (!(await letters.remove(record, revision))) {
          // A letter that cannot be read has no state, but its revision is as good as any.
          return stored === "corrupt" ? { outcome: "refused", reason: "changed" } : undefined;
        }
        await disposeOfBodies();
        return { outcome: "done" };
      });
    },
  };
}

/** Only what is not as it was written; whatever else fails, fails. */
function orCorrupt(error: unknown): "corrupt" {
  if (error instanceof DeadLetterError && error.code === "corrupt") return "corrupt";
  throw error;
}

/** Text as every store takes it: of a length that fits, and without halves of surrogate pairs. */
function checkedText(name: string, text: string, limit: number): string {
  if (text.length >= 1 && text.length <= limit) return text.toWellFormed();
  throw new RangeError(`Expected \`${name}\` to have 1 to ${limit} characters, got ${text.length}`);
}

function checkPositive(name: string, ms: number): void {
  if (Number.isSafeInteger(ms) && ms > 0) return;
  throw new RangeError(`Expected \`${name}\` to be a positive whole number of milliseconds, got ${ms}`);
}
