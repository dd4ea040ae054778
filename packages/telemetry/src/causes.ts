/** What is known to be wrong by an event that says so: errors that it causes need not be told as errors, too. */
import type { SluiceEvents } from "@sluice/job";

export class Causes {
  /** Kinds of errors by what causes them: a code of Redis's trouble, or a need. */
  readonly #kinds = new Map<string, string>();

  /**
   * Hears an event. Returns the kinds of errors that are explained from now on.
   * @param kindOf the kind of the error that a need's reason quotes.
   */
  hear(
    name: keyof SluiceEvents,
    event: SluiceEvents[keyof SluiceEvents],
    kindOf: (error: string) => string,
  ): readonly string[] {
    if (name === "redis:recovered" && "code" in event) this.#kinds.delete(`redis ${event.code}`);
    if (name === "start:found" && "need" in event) this.#kinds.delete(event.need);
    if (name === "redis:trouble" && "code" in event) {
      const kind = `redis ${event.code}`;
      this.#kinds.set(kind, kind);
      return [kind];
    }
    if (name === "start:lacks" && "need" in event && "why" in event) {
      const kind = kindOf(event.why);
      this.#kinds.set(event.need, kind);
      return [kind];
    }
    return [];
  }

  /** Whether an event has told what causes errors of the kind, and it lasts. */
  explain(kind: string): boolean {
    return [...this.#kinds.values()].includes(kind);
  }
}
