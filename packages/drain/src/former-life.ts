/**
 * What has become of a life whose death is in a letter. Redis may have lost that death with its last writes, and brought
 * the job back: then it runs again, or has been answered, and a replay would be paid and delivered a second time.
 */
import type { Outcomes } from "./ports.ts";

/** Where Redis knows the jobs of a lane. */
export interface LifeRecords {
  readonly outcomes: Pick<Outcomes, "get">;
  /** Where a job is, a started async call too; `undefined` when neither its lane nor the polls know it. */
  find(id: string): Promise<{ readonly state: string } | undefined>;
}

/** `dead`: nothing in Redis speaks against it. */
export type FormerLife = "answered" | "under-way" | "dead";

/** Whether a job in this state of its lane may still be answered. */
export function isUnderWay(state: string): state is "waiting" | "delayed" | "active" {
  return state === "waiting" || state === "delayed" || state === "active";
}

/** Rejects when Redis does not answer: nothing is known then, and no replay may start. */
export async function formerLife(records: LifeRecords, jobId: string): Promise<FormerLife> {
  const before = await records.outcomes.get(jobId);
  if (before !== undefined) return before.outcome === "dead" ? "dead" : "answered";
  const job = await records.find(jobId);
  if (job !== undefined && isUnderWay(job.state)) return "under-way";
  // It may have ended between the two reads.
  const after = await records.outcomes.get(jobId);
  if (after !== undefined) return after.outcome === "dead" ? "dead" : "answered";
  return job?.state === "completed" ? "answered" : "dead";
}

/** A started async call has left its lane for the polls: the two as one place where its jobs are looked up. */
export function laneOrPolls(
  lane: Pick<LifeRecords, "find">,
  polls: Pick<LifeRecords, "find">,
): LifeRecords["find"] {
  return async (id) => {
    const found = await lane.find(id);
    if (found !== undefined && found.state !== "completed") return found;
    return (await polls.find(id)) ?? found;
  };
}
