/**
 * Paced replays of many letters, in the background of this process, for everybody to follow. A run that ends with the
 * process leaves the letters it did not get to as they were: the same selection started again goes on with them.
 */
import { randomUUID } from "node:crypto";
import { searchLetters, type DeadLetterStore, type LetterSearch } from "@sluice/dead-letter";
import { distinct, type LetterRef, type Replayer, type ReplayResult } from "@sluice/drain";
import type { Clock } from "@sluice/job";
import type { AuditEntry } from "../access/audit.ts";
import { Refused } from "../refusal.ts";
import { Turns } from "../turns.ts";

export interface Run {
  readonly id: string;
  readonly by: string;
  /** Which letters, in words. */
  readonly what: string;
  /** Letters of this run. None of them is another run's of this process. */
  readonly total: number;
  /** Letters that were asked for and that an earlier run has already. */
  readonly elsewhere: number;
  readonly startedAt: number;
  readonly endedAt: number | undefined;
  readonly stopped: boolean;
  /** In their lanes. */
  readonly queued: number;
  /** Claimed, and left to the reconciler. */
  readonly claimed: number;
  /** Not replayed, by reason. */
  readonly refused: ReadonlyMap<string, number>;
  /** What the run waits for. */
  readonly trouble: string | undefined;
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };
type OpenRun = Writable<Omit<Run, "refused">> & { readonly refused: Map<string, number> };

/** Letters of one run at most. */
export const MOST_PER_RUN = 10_000;

/** Letters that are looked at for one run at most, where a search has to try each of them. */
const MOST_LOOKED_AT = 20_000;

/** Runs that are remembered, those under way included. */
const RUNS_KEPT = 50;

/** Runs under way at most: each holds the references of all its letters, and asks its lanes for places. */
export const MOST_AT_ONCE = 5;

/** A selection reads up to 20,000 letters: so many are made at once, and so many others may wait for theirs. */
const SELECTIONS = { atOnce: 2, waiting: 8 };

export interface Selection {
  readonly letters: readonly LetterRef[];
  /** There may be more than a run takes. */
  readonly more: boolean;
}

/** Reads references of all letters that match, up to `most`. */
export async function selectLetters(
  store: DeadLetterStore,
  search: Omit<LetterSearch, "limit" | "cursor">,
  most: number = MOST_PER_RUN,
): Promise<Selection> {
  const letters: LetterRef[] = [];
  let cursor: string | undefined;
  let lookedAt = 0;
  do {
    const from = cursor === undefined ? {} : { cursor };
    const page = await searchLetters(store, { ...search, ...from, limit: 100 });
    letters.push(
      ...page.items.map(({ id, jobId, pool, lane, replays }) => ({ id, jobId, pool, lane, replays })),
    );
    ({ cursor } = page);
    lookedAt += page.lookedAt;
  } while (cursor !== undefined && letters.length < most && lookedAt < MOST_LOOKED_AT);
  return { letters: letters.slice(0, most), more: cursor !== undefined || letters.length > most };
}

/** A letter as a run saw it: after its replay it is another one. */
function keyOf({ id, replays }: LetterRef): string {
  return `${id}~${replays}`;
}

export interface RunsOptions {
  readonly replayer: Pick<Replayer, "run">;
  readonly clock: Clock;
  /** Something was written. */
  readonly onChange: () => void;
  /** A run is over: all its letters were tried, or it was stopped. */
  readonly onEnd: (run: Run) => void;
}

/** What a click on "replay" has come to. */
export interface Started {
  /** The run that has the letters. */
  readonly run: Run;
  /** Whether it was there before: all letters are a run's already, and no other was started. */
  readonly joined: boolean;
}

/** What somebody is told whose letters are all a run's already. */
export function joinedMessage({ by, startedAt, queued, claimed, total }: Run): string {
  const at = new Date(startedAt).toISOString().slice(11, 19);
  return `${by} has started the replay of these letters at ${at} UTC: ${queued + claimed} of ${total} are on their way`;
}

/** The end of a run for the record. Its start is on record with the request that asked for it. */
export function runEntry({ id, by, what, total, queued, claimed, refused, stopped }: Run): AuditEntry {
  const others = [...refused].map(([reason, count]) => `, ${count} ${reason}`).join("");
  const end = stopped ? "stopped" : "ended";
  const detail = `replay of ${total} letters ${end}: ${queued} queued, ${claimed} claimed${others}: ${what}`;
  return { id, phase: "result", user: by, detail };
}

export class Runs {
  readonly #options: RunsOptions;
  readonly #selections = new Turns(SELECTIONS);
  readonly #runs = new Map<string, { readonly run: OpenRun; readonly stop: AbortController }>();
  readonly #running = new Set<Promise<void>>();
  /**
   * Letters of runs under way, by `keyOf`, and whose they are: who asks for them again, and finds them still dead, gets
   * the others only.
   */
  readonly #taken = new Map<string, Run>();
  #selecting = 0;
  /** Letters of runs that ended while somebody was selecting: what is being selected may still show them dead. */
  #ended: string[] = [];

  constructor(options: RunsOptions) {
    this.#options = options;
  }

  /** Newest first. */
  get all(): readonly Run[] {
    return [...this.#runs.values()].map(({ run }) => run).toReversed();
  }

  get(id: string): Run | undefined {
    return this.#runs.get(id)?.run;
  }

  /**
   * Selects letters, and starts a run over those that no run of this process has yet. Whoever asks for the same while it
   * is being selected shares the selection.
   * Rejects as `select` does.
   * @param command.key equal for equal selections.
   * @throws Refused as `start` does, and when too many selections wait.
   */
  async startFound(
    select: () => Promise<Selection>,
    { key, ...command }: { by: string; what: string; key: string },
  ): Promise<Started & { more: boolean }> {
    this.#demandPlace();
    this.#selecting += 1;
    try {
      const { letters, more } = await this.#selections.take(key, select);
      return { ...this.start(letters, command), more };
    } finally {
      this.#selecting -= 1;
      if (this.#selecting === 0) this.#forget(this.#ended.splice(0));
    }
  }

  /** What a selection would be, at the same price as one. */
  async preview(key: string, select: () => Promise<Selection>): Promise<Selection> {
    return this.#selections.take(key, select);
  }

  /**
   * Starts in the background, over the letters that no run of this process has yet.
   * @throws Refused when there is none, or when as many runs as may be are under way.
   */
  start(asked: readonly LetterRef[], { by, what }: { by: string; what: string }): Started {
    const all = distinct(asked);
    const letters = all.filter((letter) => !this.#taken.has(keyOf(letter)));
    const [first] = all;
    if (first === undefined) throw new Refused(409, "No letter of these is to be replayed (any more)");
    const earlier = this.#taken.get(keyOf(first));
    if (letters.length === 0 && earlier !== undefined) return { run: earlier, joined: true };
    this.#demandPlace();
    const keys = letters.map(keyOf);
    const run: OpenRun = {
      id: randomUUID(),
      by,
      what,
      total: letters.length,
      elsewhere: all.length - letters.length,
      startedAt: this.#options.clock(),
      endedAt: undefined,
      stopped: false,
      queued: 0,
      claimed: 0,
      refused: new Map(),
      trouble: undefined,
    };
    for (const key of keys) this.#taken.set(key, run);
    const stop = new AbortController();
    this.#runs.set(run.id, { run, stop });
    this.#forgetOld();
    const { replayer, clock, onChange, onEnd } = this.#options;
    const running = replayer
      .run(letters, {
        by,
        signal: stop.signal,
        onResult: (result) => this.#count(run, result),
        onTrouble: (error) => {
          run.trouble = error;
        },
      })
      .finally(() => {
        run.endedAt = clock();
        run.trouble = undefined;
        if (this.#selecting === 0) this.#forget(keys);
        else this.#ended.push(...keys);
        this.#running.delete(running);
        onChange();
        onEnd(run);
      });
    this.#running.add(running);
    return { run, joined: false };
  }

  /** Ends a run before its next letter. What is in the lanes already goes on. */
  stop(id: string): void {
    const found = this.#runs.get(id);
    if (found === undefined || found.run.endedAt !== undefined) return;
    found.run.stopped = true;
    found.stop.abort();
  }

  async stopAll(): Promise<void> {
    for (const id of this.#runs.keys()) this.stop(id);
    await Promise.all(this.#running);
  }

  #count(run: OpenRun, result: ReplayResult): void {
    run.trouble = undefined;
    if (result.outcome === "refused") {
      run.refused.set(result.reason, (run.refused.get(result.reason) ?? 0) + 1);
    } else {
      run[result.outcome] += 1;
    }
    this.#options.onChange();
  }

  #demandPlace(): void {
    if (this.#running.size < MOST_AT_ONCE) return;
    throw new Refused(
      409,
      `${MOST_AT_ONCE} replays are under way, as many as may be. Stop one, or wait until one has ended`,
    );
  }

  #forget(keys: readonly string[]): void {
    for (const key of keys) this.#taken.delete(key);
  }

  #forgetOld(): void {
    for (const [id, { run }] of this.#runs) {
      if (this.#runs.size <= RUNS_KEPT) return;
      if (run.endedAt !== undefined) this.#runs.delete(id);
    }
  }
}
