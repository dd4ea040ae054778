/**
 * Paced replays of many letters, in the background of this process, for everybody to follow. A run that ends with the
 * process leaves the letters it did not get to as they were: the same selection started again goes on with them.
 */
import { randomUUID } from "node:crypto";
import { searchLetters, type DeadLetterStore, type LetterSearch } from "@sluice/dead-letter";
import type { LetterRef, Replayer, ReplayResult } from "@sluice/drain";
import type { Clock } from "@sluice/job";

export interface Run {
  readonly id: string;
  readonly by: string;
  /** Which letters, in words. */
  readonly what: string;
  readonly total: number;
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

export class Runs {
  readonly #replayer: Replayer;
  readonly #clock: Clock;
  readonly #onChange: () => void;
  readonly #runs = new Map<string, { readonly run: OpenRun; readonly stop: AbortController }>();
  readonly #running = new Set<Promise<void>>();

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

  /** Starts in the background. */
  start(letters: readonly LetterRef[], { by, what }: { by: string; what: string }): Run {
    const run: OpenRun = {
      id: randomUUID(),
      by,
      what,
      total: letters.length,
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

  #forgetOld(): void {
    for (const [id, { run }] of this.#runs) {
      if (this.#runs.size <= RUNS_KEPT) return;
      if (run.endedAt !== undefined) this.#runs.delete(id);
    }
  }
}
