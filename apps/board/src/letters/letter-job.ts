/** A dead letter in the words of Bull Board: what a job of it shows, and what its buttons do. */
import type { JobState, QueueJob, QueueJobJson } from "@bull-board/api/typings/app";
import type { Pools } from "@sluice/config";
import type { Change, DeadLetter, DeadLetterStore, Letter, Purge, ShownLetter } from "@sluice/dead-letter";
import type { Replayer } from "@sluice/drain";
import { z } from "zod";
import { currentUser } from "../access/user.ts";
import { Refused, refusedChange } from "../refusal.ts";
import { editLetter, type ReadRequest } from "./edit.ts";
import { redactRequest, sizeOfRequest } from "./placeholders.ts";
import { replayOne } from "./replay-one.ts";

export interface LetterActions {
  readonly store: DeadLetterStore;
  readonly replayer: Replayer;
  readonly pools: Pools;
  /** Something was written. */
  readonly onChange: () => void;
}

/** The tabs of Bull Board hang on its own states. */
export const STATUS_OF = {
  dead: "failed",
  replaying: "active",
  resolved: "completed",
  parked: "delayed",
} as const satisfies Record<Letter["state"], JobState>;

/** What an edit sends back. */
const editSchema = z.looseObject({ revision: z.string(), request: z.unknown() });

/** As a list shows it: without its request. */
export function listedJob(letter: Letter, actions: LetterActions): QueueJob {
  const { tenant, kind, preview } = letter;
  const shown = preview === undefined ? {} : { preview };
  const data = { tenant, kind, ...shown, request: "Open the letter to see its request" };
  return new LetterJob(letter, data, actions);
}

/** As its own page shows it: with its request redacted, for those who may edit it. */
export function openedJob(
  letter: ShownLetter,
  read: ReadRequest,
  actions: LetterActions,
  { editable }: { readonly editable: boolean },
): QueueJob {
  const { tenant, kind, revision } = letter;
  const shown = (stored: unknown): unknown =>
    editable ? redactRequest(stored, kind, revision) : sizeOfRequest(stored);
  const request = read.readable ? shown(read.request) : null;
  const unreadable = read.readable ? {} : { hidden: "The stored request cannot be read" };
  const whole = letter.data === undefined ? undefined : { ...letter, data: letter.data };
  return new LetterJob(letter, { tenant, kind, revision, ...unreadable, request }, actions, whole);
}

class LetterJob implements QueueJob {
  /** Not in Bull Board's type, but its flow view asks for it. */
  readonly id: string;
  readonly opts: QueueJob["opts"];
  readonly #letter: Letter;
  readonly #data: object;
  readonly #actions: LetterActions;
  readonly #whole: DeadLetter | undefined;

  constructor(letter: Letter, data: object, actions: LetterActions, whole?: DeadLetter) {
    const { pool, lane, jobId, deaths, replays, stalls, failure, state } = letter;
    this.id = letter.id;
    this.#letter = letter;
    this.#data = data;
    this.#actions = actions;
    this.#whole = whole;
    const { kind, status, requestId, dimension } = failure;
    const deadLetter = {
      state,
      pool,
      lane,
      jobId,
      deaths,
      replays,
      stalls,
      kind,
      status,
      requestId,
      dimension,
    };
    const opts: QueueJob["opts"] & { readonly deadLetter: object } = { deadLetter };
    this.opts = opts;
  }

  toJSON(): QueueJobJson {
    const { id, kind, tenant, attempts, failure, history, state } = this.#letter;
    // Bull Board draws whatever has a reason or a stack as failed.
    const isFailed = state === "dead" || state === "parked";
    const deaths = history.flatMap((entry) =>
      entry.event === "died"
        ? [
            `${entry.errorClass}: ${entry.message}\n    as ${entry.jobId}, ${new Date(entry.at).toISOString()}`,
          ]
        : [],
    );
    return {
      id,
      name: `${kind} for ${tenant}`,
      progress: 0,
      attemptsMade: attempts,
      ...lifeTimes(this.#letter),
      failedReason: isFailed ? `${failure.errorClass}: ${failure.message}` : "",
      stacktrace: isFailed ? deaths : [],
      data: this.#data,
      returnvalue: null,
      opts: this.opts,
    };
  }

  async getState(): Promise<JobState> {
    return STATUS_OF[this.#letter.state];
  }

  /** Exactly one of many clicks starts a replay; the others were as good. */
  async retry(): Promise<void> {
    const { replayer, onChange } = this.#actions;
    if (this.#letter.state === "resolved") throw new Refused(409, "It has been answered");
    await replayOne(replayer, this.#letter, currentUser().name).finally(onChange);
  }

  /** Only parked letters are on the delayed tab: back among the dead. */
  async promote(): Promise<void> {
    const { store } = this.#actions;
    this.#settle(await store.unpark(this.#letter.id, { by: currentUser().name }));
  }

  async remove(): Promise<void> {
    const { store } = this.#actions;
    this.#settle(await store.purge(this.#letter.id, { revision: this.#letter.revision }));
  }

  async updateData(data: unknown): Promise<void> {
    const { store, pools, onChange } = this.#actions;
    const edit = editSchema.safeParse(data);
    if (!edit.success || this.#whole === undefined) {
      throw new Refused(400, "Expected `revision` and `request`. Edit a letter on its own page");
    }
    const { revision, request } = edit.data;
    await editLetter(store, pools, this.#whole, { by: currentUser().name, revision, request });
    onChange();
  }

  #settle(change: Change | Purge): void {
    this.#actions.onChange();
    if (change.outcome === "refused") throw refusedChange(change.reason);
  }
}

/**
 * When the latest life of the job began and when it ended: its first began when it was accepted, each replay when it was
 * claimed. Without a beginning Bull Board counts from 1970.
 */
function lifeTimes(letter: Letter): { timestamp: number; processedOn: number; finishedOn: number | null } {
  const { acceptedAt, diedAt, history, state } = letter;
  const endedAt = history.findLast(({ event }) => event === "resolved")?.at ?? diedAt;
  const claims = history.filter(
    ({ event, at }) => event === "claimed" && (state === "replaying" || at <= endedAt),
  );
  const processedOn = claims.at(-1)?.at ?? acceptedAt;
  const finishedOn = state === "resolved" ? endedAt : diedAt;
  // The clocks of those who accept, replay and run a job are not the same.
  const from = state === "replaying" ? processedOn : Math.min(processedOn, finishedOn);
  const timestamp = Math.min(acceptedAt, from);
  return { timestamp, processedOn: from, finishedOn: state === "replaying" ? null : finishedOn };
}
