/** What lasts for a while: told once when it begins and once, with how long it lasted, when it is over. */

export interface SpellsOptions {
  /** A spell that nobody has noted for so long is over. Milliseconds. Default: only `over` ends one. */
  readonly overMs?: number;
  /** Milliseconds; only differences matter. Default: the monotonic clock. */
  readonly now?: () => number;
}

interface Spell {
  readonly since: number;
  lastAt: number;
  end: (lastedMs: number) => void;
}

/** How often it is looked which are over, milliseconds. */
const LOOK_MS = 1_000;

export class Spells {
  readonly #overMs: number;
  readonly #now: () => number;
  readonly #spells = new Map<string, Spell>();
  #timer: NodeJS.Timeout | undefined;

  constructor({ overMs = Infinity, now = () => performance.now() }: SpellsOptions = {}) {
    this.#overMs = overMs;
    this.#now = now;
  }

  /**
   * It is so now. The first time `begin` is called; `end` of the latest note is, when it is over.
   * @param key names the spell.
   */
  note(key: string, begin: () => void, end: (lastedMs: number) => void): void {
    const now = this.#now();
    const known = this.#spells.get(key);
    if (known !== undefined) {
      known.lastAt = now;
      known.end = end;
      return;
    }
    this.#spells.set(key, { since: now, lastAt: now, end });
    if (this.#overMs < Infinity) this.#timer ??= setInterval(() => this.#endOld(), LOOK_MS).unref();
    begin();
  }

  /** It is no longer so; nothing when it was not. */
  over(key: string): void {
    const spell = this.#spells.get(key);
    if (spell !== undefined) this.#end(key, spell, this.#now());
  }

  /** Ends without a word. */
  stop(): void {
    this.#spells.clear();
    this.#rest();
  }

  #endOld(): void {
    for (const [key, spell] of this.#spells) {
      if (this.#now() - spell.lastAt >= this.#overMs) this.#end(key, spell, spell.lastAt);
    }
  }

  #end(key: string, { since, end }: Spell, at: number): void {
    this.#spells.delete(key);
    this.#rest();
    end(Math.round(at - since));
  }

  #rest(): void {
    if (this.#spells.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
