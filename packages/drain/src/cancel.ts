/** Cancelling a job from anywhere: a flag for whoever holds it, and the way out of its lane if nobody does yet. */
import type { Clock, Outcome } from "@sluice/job";
import { parseJobId, readJobEnvelope } from "@sluice/job";
import { lifeId, type JobView, type ReadingLane } from "./find.ts";
import { poolOf, type PoolsAsked } from "./pools.ts";

/** `cancelled`: it had not started. `requested`: it runs, and ends as soon as its process hears. `ended`: too late. */
export type Cancelling = "cancelled" | "requested" | "ended";

/** A pool as cancelling needs it. */
export interface CancellingPool {
  readonly lanes: readonly string[];
  readonly outcomes: { put(outcome: Outcome): Promise<boolean> };
  /** `ended`: the job has an outcome. */
  readonly cancels: { request(id: string, by: string): Promise<"first" | "again" | "ended"> };
  lane(name: string): ReadingLane & {
    /** Takes the job out of its lane, if it has not started. */
    withdraw(id: string): Promise<boolean>;
  };
}

export interface CancelOptions extends PoolsAsked<CancellingPool> {
  readonly find: (tenant: string, id: string) => Promise<JobView | undefined>;
  readonly clock: Clock;
}

/** Makes the canceller. It resolves to `undefined` for a job the tenant does not have. Safe to repeat. */
export function createCancel(
  options: CancelOptions,
): (tenant: string, id: string) => Promise<Cancelling | undefined> {
  return async (tenant, id) => {
    const view = await options.find(tenant, id);
    const parts = parseJobId(id);
    const pool = parts && (await poolOf(options, parts));
    if (view === undefined || parts === undefined || pool === undefined) return undefined;
    if (view.state !== "waiting" && view.state !== "delayed" && view.state !== "active") return "ended";
    // The flag first: from here on every step of the job sees it, whatever becomes of what follows. It is raised only
    // if the job has no outcome, and an answer that comes after it is not stored.
    const jobId = lifeId(view);
    if ((await pool.cancels.request(jobId, tenant)) === "ended") return "ended";
    const lane = pool.lane(parts.lane);
    const found = view.state === "active" ? undefined : await lane.find(jobId);
    const job = readJobEnvelope(found?.data);
    if (found === undefined || job === undefined) return requestedOrEnded(options, tenant, id);
    // Its end goes on record before it goes: a job without either would be lost.
    await pool.outcomes.put({
      outcome: "cancelled",
      id: jobId,
      tenant,
      acceptedAt: job.acceptedAt,
      endedAt: options.clock(),
      attempts: found.attemptsMade,
    });
    return (await lane.withdraw(jobId)) ? "cancelled" : requestedOrEnded(options, tenant, id);
  };
}

/** A job that had failed before the flag was raised is dead, though its outcome may not be stored yet. */
async function requestedOrEnded({ find }: CancelOptions, tenant: string, id: string): Promise<Cancelling> {
  return (await find(tenant, id))?.state === "dead" ? "ended" : "requested";
}
