/**
 * What a program needs besides its environment: looked for at once, told when it is not there, and told again when it is.
 * A need may lack for one reason after another, as a DynamoDB that comes up without the table: each is told once.
 * The program goes on meanwhile: most of it works without.
 */

export interface Need {
  /** In words, e.g. `the dead letter table`. */
  readonly name: string;
  /** Resolves when it is there. Rejects with the reason. */
  check(): Promise<void>;
}

export interface NeedsOptions {
  readonly needs: readonly Need[];
  /** Once for each need that is not there when the program starts, and for each reason of it. */
  readonly onLacking: (need: string, why: string) => void;
  readonly onFound: (need: string, afterMs: number) => void;
  /** Milliseconds between two looks for one need. Default 2,000. */
  readonly everyMs?: number;
}

const EVERY_MS = 2_000;

/** Longer ones are cut: what says why stands before. Characters. */
const REASON_LENGTH = 1_000;

export class Needs {
  readonly #options: NeedsOptions;
  readonly #timers = new Set<NodeJS.Timeout>();
  #stopped = false;

  constructor(options: NeedsOptions) {
    this.#options = options;
  }

  /** Looks for all of them, side by side, until each was there once. */
  start(): void {
    for (const need of this.#options.needs) void this.#look(need, { since: undefined, told: new Set() });
  }

  stop(): void {
    this.#stopped = true;
    for (const timer of this.#timers) clearTimeout(timer);
  }

  async #look(need: Need, lack: Lack): Promise<void> {
    const { onLacking, onFound, everyMs = EVERY_MS } = this.#options;
    try {
      await need.check();
      const { since } = lack;
      if (since !== undefined && !this.#stopped) onFound(need.name, Math.round(performance.now() - since));
      return;
    } catch (error) {
      if (this.#stopped) return;
      lack.since ??= performance.now();
      const reason = reasonOf(error);
      const kind = kindOf(reason);
      if (!lack.told.has(kind)) onLacking(need.name, reason);
      lack.told.add(kind);
    }
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      void this.#look(need, lack);
    }, everyMs);
    this.#timers.add(timer);
  }
}

/** What is known of a need that is not there. */
interface Lack {
  since: number | undefined;
  /** Kinds of reasons that were told. */
  readonly told: Set<string>;
}

/** Reasons that differ in a number or an id, as those of two requests, are one. */
function kindOf(reason: string): string {
  return reason.replaceAll(/[0-9a-f-]*\d[0-9a-f-]*/gi, "#");
}

function reasonOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).slice(0, REASON_LENGTH);
}
