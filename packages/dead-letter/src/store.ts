/**
 * The dead letter store: decisions from `transitions.ts` carried out on a storage by compare and set. Read the
 * letter, decide, write if nobody wrote meanwhile, otherwise read again. No lock, no transaction.
 */
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Clock, JobData, Payload, Random } from "@sluice/job";
import { DeadLetterError } from "./errors.ts";
import { checkPreview, previewOf, type PreviewOption } from "./preview.ts";
import { checkLimit, type CountQuery, type LetterPage, type ListQuery } from "./query.ts";
import { isExpired, NOTE_LIMIT, recordId, type Death, type DeadLetter, type Letter } from "./record.ts";
import type { Storage, Stored } from "./storage.ts";
import * as transitions from "./transitions.ts";
import type { ClaimCommand, Decision, Refusal } from "./transitions.ts";

/** Settings of both stores. */
export interface StoreOptions {
  /** What is stored of a prompt in plain text. Default `false`: nothing. */
  readonly preview?: PreviewOption;
  /** How long a resolved letter is kept, in milliseconds. Default 30 days. */
  readonly retentionMs?: number;
  /** Default: the machine's clock. */
  readonly now?: Clock;
  /** Spreads writers that met on one record. Default `Math.random`. */
  readonly random?: Random;
}

const DAY_MS = 24 * 60 * 60 * 1000;

export const STORE_DEFAULTS = {
  preview: false,
  retentionMs: 30 * DAY_MS,
} satisfies StoreOptions;

/** Each round of a collision has a winner, so this many rounds means something is badly wrong. */
const MAX_ROUNDS = 30;
const BACKOFF_MS = 10;

/** `done`: written. `already-done`: a repeated command, nothing to write. `refused`: not allowed; look again. */
export type Change =
  | { readonly outcome: "done"; readonly letter: Letter }
  | { readonly outcome: "already-done" }
  | { readonly outcome: "refused"; readonly reason: Refusal };

/** What a claim hands over: put `data` in its lane as the job `data.id`. Nobody else got it. */
export type ClaimResult =
  | { readonly outcome: "claimed"; readonly letter: Letter & { state: "replaying" }; readonly data: JobData }
  | { readonly outcome: "refused"; readonly reason: Refusal };

/** Ids may be those of a replay: they lead to the record of their logical job. */
export interface DeadLetterStore {
  /**
   * Records a death. Idempotent per death (job id and `diedAt`). A later death of the job rewrites its record.
   * Rejects when the store does not answer.
   */
  put(death: Death): Promise<"stored" | "already-stored">;
  get(id: string): Promise<DeadLetter | undefined>;
  /** @throws RangeError (as a rejection) on a bad limit or cursor. */
  list(query: ListQuery): Promise<LetterPage>;
  count(query: CountQuery): Promise<number>;
  /** Every error class a letter was ever stored with, sorted. */
  classes(): Promise<readonly string[]>;
  /** Claims the next replay, exactly once however often it is asked, or a replay whose lease ran out. */
  claim(id: string, command: ClaimCommand): Promise<ClaimResult>;
  /** The job `jobId` was answered after all. */
  resolve(jobId: string): Promise<Change>;
  park(id: string, command: { by: string; note?: string }): Promise<Change>;
  unpark(id: string, command: { by: string }): Promise<Change>;
  /** @throws RangeError (as a rejection) on a note of more than 1,000 characters. */
  note(id: string, command: { by: string; note: string }): Promise<Change>;
  /** Replaces the request. `revision` is the one the editor saw; validate the payload before. */
  edit(id: string, command: { by: string; revision: string; payload: Payload }): Promise<Change>;
  /** Deletes the record and its data for good. `revision` is the one the operator saw. */
  purge(id: string, command: { revision: string }): Promise<Change>;
}

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

  /** Opens a body; `undefined` when the letter that named it has been replaced since it was read. */
  async function openBody({ letter, body }: Stored<Body>): Promise<JobData | undefined> {
    const data = await bodies.open(letter.id, body);
    if (data !== undefined) return data;
    const again = await letters.load(letter.id);
    if (again?.letter.revision !== letter.revision) return undefined;
    throw new DeadLetterError("corrupt", `Dead letter '${letter.id}' has lost the data of its job`);
  }

  function withPreview(letter: Letter, data: JobData): Letter {
    const text = previewOf(data, preview);
    return text === undefined ? letter : { ...letter, preview: text };
  }

  /** Deletes what the committed letter has replaced. It is committed: failing to tidy up must not fail it. */
  async function dropReplaced(id: string, before: Stored<Body> | undefined, after: Body): Promise<void> {
    if (before === undefined || before.body === after) return;
    await bodies.drop(id, before.body).catch(() => undefined);
  }

  /** A change of the letter alone. */
  function change(id: string, decide: (letter: Letter, now: number) => Decision): Promise<Change> {
    const record = recordId(id);
    return untilSettled<Change>(record, async () => {
      const stored = await current(record);
      if (stored === undefined) return { outcome: "refused", reason: "not-found" };
      const decision = decide(stored.letter, now());
      if (decision.decision === "keep") return { outcome: "already-done" };
      if (decision.decision === "refuse") return { outcome: "refused", reason: decision.reason };
      const letter = { ...decision.letter, revision: randomUUID() };
      const saved = await letters.save({ letter, body: stored.body }, stored.letter.revision);
      return saved ? { outcome: "done", letter } : undefined;
    });
  }

  return {
    put(death) {
      const id = recordId(death.data.id);
      return untilSettled(id, async () => {
        const stored = await letters.load(id);
        const decision = transitions.die(stored?.letter, death, now());
        if (decision.decision !== "change") return "already-stored";
        const revision = randomUUID();
        if (stored !== undefined && transitions.isStray(stored.letter, death)) {
          const letter = { ...decision.letter, revision };
          const saved = await letters.save({ letter, body: stored.body }, stored.letter.revision);
          return saved ? "stored" : undefined;
        }
        const body = await bodies.seal(id, death.data, death.diedAt);
        const letter = { ...withPreview(decision.letter, death.data), revision };
        if (!(await letters.save({ letter, body }, stored?.letter.revision))) return undefined;
        await dropReplaced(id, stored, body);
        return "stored";
      });
    },

    get(id) {
      const record = recordId(id);
      return untilSettled<{ found: DeadLetter | undefined }>(record, async () => {
        const stored = await current(record);
        if (stored === undefined) return { found: undefined };
        const data = await openBody(stored);
        return data === undefined ? undefined : { found: { ...stored.letter, data } };
      }).then(({ found }) => found);
    },

    async list(query) {
      checkLimit(query.limit);
      return index.list(query, now());
    },

    async count(query) {
      return index.count(query, now());
    },

    classes: () => index.classes(),

    claim(id, command) {
      const record = recordId(id);
      return untilSettled<ClaimResult>(record, async () => {
        const stored = await current(record);
        if (stored === undefined) return { outcome: "refused", reason: "not-found" };
        const decision = transitions.claim(stored.letter, command, now());
        if (decision.decision !== "change") {
          return { outcome: "refused", reason: decision.decision === "refuse" ? decision.reason : "state" };
        }
        // Opened before the claim is written: what cannot be read is never claimed, and an edit that slips in
        // between makes the write fail, so the data handed over is the data that was claimed.
        const data = await openBody(stored);
        if (data === undefined) return undefined;
        const letter = { ...decision.letter, revision: randomUUID() };
        if (!(await letters.save({ letter, body: stored.body }, stored.letter.revision))) return undefined;
        return { outcome: "claimed", letter, data: { ...data, id: letter.claim.jobId } };
      });
    },

    async resolve(jobId) {
      const result = await change(jobId, (letter, time) =>
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

    park: (id, { by, note }) => change(id, (letter, time) => transitions.park(letter, by, note, time)),
    unpark: (id, { by }) => change(id, (letter, time) => transitions.unpark(letter, by, time)),

    async note(id, { by, note }) {
      if (note.length > NOTE_LIMIT) {
        throw new RangeError(
          `Expected \`note\` to have at most ${NOTE_LIMIT} characters, got ${note.length}`,
        );
      }
      return change(id, (letter, time) => transitions.annotate(letter, by, note, time));
    },

    edit(id, { by, revision, payload }) {
      const record = recordId(id);
      return untilSettled<Change>(record, async () => {
        const stored = await current(record);
        if (stored === undefined) return { outcome: "refused", reason: "not-found" };
        const at = now();
        const decision = transitions.edit(stored.letter, by, revision, at);
        if (decision.decision === "refuse") return { outcome: "refused", reason: decision.reason };
        if (decision.decision === "keep") return { outcome: "already-done" };
        const before = await openBody(stored);
        if (before === undefined) return undefined;
        const data = { ...before, payload };
        const body = await bodies.seal(record, data, at);
        const letter = { ...withPreview(decision.letter, data), revision: randomUUID() };
        if (!(await letters.save({ letter, body }, stored.letter.revision))) return undefined;
        await dropReplaced(record, stored, body);
        return { outcome: "done", letter };
      });
    },

    purge(id, { revision }) {
      const record = recordId(id);
      return untilSettled<Change>(record, async () => {
        const stored = await current(record);
        if (stored === undefined) return { outcome: "refused", reason: "not-found" };
        const decision = transitions.purge(stored.letter, revision);
        if (decision.decision === "refuse") return { outcome: "refused", reason: decision.reason };
        if (!(await letters.remove(record, revision))) return undefined;
        await bodies.drop(record, stored.body);
        return { outcome: "done", letter: stored.letter };
      });
    },
  };
}
