/**
 * Keeps the locks of every job in hand, for the whole process: one timer, one batch per lane. Short locks until the
 * call, longer ones from its start. Neither has to outlast anything: when a lock runs out while its worker lives, the
 * call ledger refuses a second call, and the job waits for the answer of the first.
 */
import { localTime, type LocalTime } from "@sluice/job";
import type { HeldJob } from "./held-job.ts";
import type { LaneLocks } from "./lane-locks.ts";

export interface LockTimes {
  /** Lock while a job is in hand but not calling, milliseconds. 6 s suits production. */
  readonly inHandMs: number;
  /** Lock from the start of the call, milliseconds. 10 s suits production. */
  readonly callMs: number;
}

interface Kept {
  readonly job: HeldJob;
  readonly lane: LaneLocks;
  /** When the lock was last set, by the monotonic clock, and how long it was set for. */
  lockedAt: number;
  lockMs: number;
}

export interface LockKeeperOptions {
  readonly times: LockTimes;
  /** Redis says that a lock is no longer ours. The run goes on: it stores its result first. */
  readonly onLost: (job: HeldJob) => void;
  readonly onError: (error: unknown) => void;
  /** Default: this process's. */
  readonly monotonic?: LocalTime["monotonic"];
}

export class LockKeeper {
  readonly times: LockTimes;
  readonly #options: LockKeeperOptions;
  readonly #monotonic: LocalTime["monotonic"];
  readonly #kept = new Map<string, Kept>();
  readonly #renewing = new Set<LaneLocks>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: LockKeeperOptions) {
    this.#options = options;
    this.times = options.times;
    this.#monotonic = options.monotonic ?? localTime.monotonic;
  }

  start(): void {
    this.#timer ??= setInterval(() => this.#tick(), this.times.inHandMs / 5);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Keeps the job's lock until `release`. BullMQ set it for `inHandMs` when it was fetched. */
  keep(job: HeldJob, lane: LaneLocks): void {
    this.#kept.set(job.token, { job, lane, lockedAt: this.#monotonic(), lockMs: this.times.inHandMs });
  }

  release(job: HeldJob): void {
    this.#kept.delete(job.token);
  }

  /** Renews at once what is due. A call that just started is due, since its lock is still the short one. */
  nudge(): void {
    this.#tick();
  }

  #tick(): void {
    const due = new Map<LaneLocks, Kept[]>();
    for (const kept of this.#kept.values()) {
      if (this.#isDue(kept)) due.set(kept.lane, [...(due.get(kept.lane) ?? []), kept]);
    }
    for (const [lane, batch] of due) {
      // During an outage the commands queue up: one batch per lane is enough to wait for its end.
      if (this.#renewing.has(lane)) continue;
      this.#renewing.add(lane);
      void this.#renewAll(lane, batch)
        .catch(this.#options.onError)
        .finally(() => this.#renewing.delete(lane));
    }
  }

  #isDue(kept: Kept): boolean {
    return this.#wanted(kept) > kept.lockMs || this.#monotonic() - kept.lockedAt >= kept.lockMs / 3;
  }

  #wanted(kept: Kept): number {
    return kept.job.calling ? this.times.callMs : this.times.inHandMs;
  }

  async #renewAll(lane: LaneLocks, batch: readonly Kept[]): Promise<void> {
    for (const lockMs of [this.times.inHandMs, this.times.callMs]) {
      const same = batch.filter((kept) => this.#wanted(kept) === lockMs);
      if (same.length === 0) continue;
      const sentAt = this.#monotonic();
      const lost = await lane.extend(
        same.map((kept) => kept.job),
        lockMs,
      );
      for (const kept of same) {
        if (!this.#kept.has(kept.job.token)) continue;
        if (lost.has(kept.job.id)) {
          this.#kept.delete(kept.job.token);
          this.#options.onLost(kept.job);
        } else {
          kept.lockedAt = sentAt;
          kept.lockMs = lockMs;
        }
      }
    }
  }
}
