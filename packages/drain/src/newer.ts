/**
 * Jobs of which something was written by a newer version of Sluice: for its programs, so they go back as they are. During
 * a deploy such a program runs beside this one; after a step back none may run for days, so a job comes back ever more
 * rarely, and one process never hands back more than some tens a second.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { newerVersion, type Emit, type JobEnvelope, type Random } from "@sluice/job";
import type { Held } from "./ports.ts";

const FIRST_MS = 2_000;
const LONGEST_MS = 300_000;

/** How long a job that goes back keeps its place beside the gate: what is fetched next is mostly another like it. */
const PACE_MS = 200;

/** What was met, as a `NewerVersionError` says it. */
export interface NewerRecord {
  readonly what: string;
  readonly version: number;
  /** The newest version that this program reads. */
  readonly known: number;
}

/**
 * How long a job stays away: 2 s, doubled each time it is fetched, 5 minutes at most, and up to half of it less, so that
 * jobs that were met together do not come back together. Pure.
 * @param fetches how often the job was fetched, this time included.
 */
export function newerDelayMs(fetches: number, random: number): number {
  const delayMs = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(20, Math.max(0, fetches - 1)));
  return Math.round(delayMs * (1 - random / 2));
}

export class NewerRecords {
  readonly #emit: Emit;
  readonly #random: Random;
  readonly #told = new Set<string>();

  constructor({ emit, random }: { readonly emit: Emit; readonly random: Random }) {
    this.#emit = emit;
    this.#random = random;
  }

  /** Hands the job back at no cost to it, and says so once per pool, kind of record and version. */
  async handBack(
    job: Held,
    { id, tenant, pool, lane }: Pick<JobEnvelope, "id" | "tenant" | "pool" | "lane">,
    { what, version, known }: NewerRecord,
    stopping: AbortSignal,
  ): Promise<undefined> {
    const delayMs = newerDelayMs(job.attemptsStarted, this.#random());
    await job.defer({ delayMs, attempt: false, reason: newerVersion(what, version, known) });
    this.#emit("job:deferred", { id, tenant, pool, lane, reason: "newer-version", delayMs });
    const key = `${what} ${version}`;
    if (!this.#told.has(key)) {
      this.#told.add(key);
      this.#emit("version:newer", { id, pool, what, version, known });
    }
    await sleep(PACE_MS, undefined, { signal: stopping }).catch(() => undefined);
  }
}
