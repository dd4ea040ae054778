/**
 * Whose fault it is that a signature or a key was refused: the credentials', or that of one pool or one job, which a proxy
 * can cause that rewrites what was signed. It is their own when the same credentials serve others.
 */
import type { LocalTime } from "@sluice/job";

export interface Subject {
  readonly pool: string;
  readonly job: string;
}

/** Others that were let in so long ago prove little: credentials last for hours, and end without a word. */
const PROOF_MS = 300_000;

/** Refused jobs that are remembered: the latest ones. */
const JOBS = 100;

export class Refusals {
  readonly #monotonic: LocalTime["monotonic"];
  /** When each pool was let in with the present credentials. */
  readonly #letIn = new Map<string, number>();
  /** When each job was refused last. */
  readonly #jobs = new Map<string, number>();
  /** When the last call began that was let in. */
  #letInAt = -Infinity;

  constructor(monotonic: LocalTime["monotonic"]) {
    this.#monotonic = monotonic;
  }

  /** There are new credentials. */
  renewed(): void {
    this.#letIn.clear();
  }

  /** @param madeAt when the call began, by the monotonic clock. */
  letIn({ pool, job }: Subject, madeAt: number): void {
    this.#letIn.set(pool, Math.max(madeAt, this.#letIn.get(pool) ?? 0));
    this.#letInAt = Math.max(madeAt, this.#letInAt);
    this.#jobs.delete(job);
  }

  /**
   * A call was refused. Resolves to whether that is a matter of its own: no call of its pool was ever let in with these
   * credentials, but others lately; or its job was refused before, and another was let in since.
   */
  refused({ pool, job }: Subject): boolean {
    const now = this.#monotonic();
    const others = [...this.#letIn].some(([name, at]) => name !== pool && now - at < PROOF_MS);
    const before = this.#jobs.get(job);
    this.#jobs.delete(job);
    this.#jobs.set(job, now);
    for (const [oldest] of this.#jobs) {
      if (this.#jobs.size <= JOBS) break;
      this.#jobs.delete(oldest);
    }
    return (!this.#letIn.has(pool) && others) || (before !== undefined && this.#letInAt > before);
  }
}
