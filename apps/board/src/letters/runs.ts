/**
 * Paced replays of many letters, in the background of this process, for everybody to follow. A run that ends with the
 * process leaves the letters it did not get to as they were: the same selection started again goes on with them.
 */
import { randomUUID } from "node:crypto";
import { searchLetters, type DeadLetterStore, type LetterSearch } from "@sluice/dead-letter";
import { distinct, type LetterRef, type Replayer, type ReplayResult } from "@sluice/drain";
import type { Clock } from "@sluice/job";

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

const RUNS_KEPT = 50;

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
    letters.push(...page.items.map(({ id, pool, lane, replays }) => ({ id, pool, lane, replays })));
    ({ cursor } = page);
    lookedAt += page.lookedAt;
  } while (cursor !== undefined && letters.length < most && lookedAt < MOST_LOOKED_AT);
  return { letters: letters.slice(0, most), more: cursor !== undefined || letters.length > most };
}

/** A letter as a run saw it: after its replay it is another one. */
function keyOf({ id, replays }: LetterRef): string {
  return `${id}~${replays}`;
}

export class Runs {
  readonly #replayer: Replayer;
  readonly #clock: Clock;
  readonly #onChange: () => void;
  readonly #runs = new Map<string, { readonly run: OpenRun; readonly stop: AbortController }>();
  readonly #running = new Set<Promise<void>>();
  /** Letters of runs under way, by `keyOf`: who asks for them again, and finds them still dead, gets the others only. */
  readonly #taken = new Set<string>();
  #selecting = 0;
  /** Letters of runs that ended while somebody was selecting: what is being selected may still show them dead. */
  #ended: string[] = [];

  constructor(replayer: Replayer, clock: Clock, onChange: () => void) {
    this.#replayer = replayer;
    this.#clock = clock;
    this.#onChange = onChange;
  }

  /** Newest first. */
  get all(): readonly Run[] {
    return [...this.#runs.values()].map(({ run }) => run).toReversed();
  }

  get(id: string): Run | undefined {
    return this.#runs.get(id)?.run;
  }

  /**
   * Selects letters, and starts a run over those that no run of this process has yet.
   * Rejects as `select` does.
   */
  async startFound(
    select: () => Promise<Selection>,
    command: { by: string; what: string },
  ): Promise<{ run: Run; more: boolean }> {
    this.#selecting += 1;
    try {
      const { letters, more } = await select();
      return { run: this.start(letters, command), more };
    } finally {
      this.#selecting -= 1;
      if (this.#selecting === 0) this.#forget(this.#ended.splice(0));
    }
  }

  /** Starts in the background, over the letters that no run of this process has yet. */
  start(asked: readonly LetterRef[], { by, what }: { by: string; what: string }): Run {
    const all = distinct(asked);
    const letters = all.filter((letter) => !this.#taken.has(keyOf(letter)));
    const keys = letters.map(keyOf);
    for (const key of keys) this.#taken.add(key);
    const run: OpenRun = {
      id: randomUUID(),
      by,
      what,
      total: letters.length,
      elsewhere: all.length - letters.length,
      startedAt: this.#clock(),
      endedAt: undefined,
      stopped: false,
      queued: 0,
      claimed: 0,
      refused: new Map(),
      trouble: undefined,
    };
    const stop = new AbortController();
    this.#runs.set(run.id, { run, stop });
    this.#forgetOld();
    const running = this.#replayer
      .run(letters, {
        by,
        signal: stop.signal,
        onResult: (result) => this.#count(run, result),
        onTrouble: (error) => {
          run.trouble = error;
        },
      })
      .finally(() => {
        run.endedAt = this.#clock();
        run.trouble = undefined;
        if (this.#selecting === 0) this.#forget(keys);
        else this.#ended.push(...keys);
        this.#running.delete(running);
        this.#onChange();
      });
    this.#running.add(running);
    return run;
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
    this.#onChange();
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
