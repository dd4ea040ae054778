/**
 * Every key of a lane: BullMQ's own, which the scripts in `lua/` read and move, and the ones Sluice adds.
 * BullMQ's layout is internal to it and changes with its majors; this file and `lua/` are all that know it.
 */
import { queueName } from "@sluice/job";
import type { KeySpace } from "@sluice/redis";

/**
 * Where started async calls wait for their next poll: a queue per pool beside its lanes. No lane can be called so,
 * since lane names have no dot.
 */
export const POLLS_LANE = "polls.internal";

/**
 * BullMQ's own events, about four a job: nothing of ours reads them, and by default 10,000 of each lane stay, which is
 * 1.5 MB. Every `Queue` of a lane has to say the same, since each writes the number down when it is made.
 */
export const EVENTS_KEPT: { readonly events: { readonly maxLen: number } } = { events: { maxLen: 500 } };

/** Keys of one lane. All carry the scope's hash tag. */
export interface LaneKeys {
  readonly wait: string;
  readonly prioritized: string;
  readonly delayed: string;
  readonly active: string;
  readonly completed: string;
  readonly failed: string;
  /** Active jobs that the last stall check marked. */
  readonly stalled: string;
  /** There until the next stall check. */
  readonly stalledCheck: string;
  /** Wakes those who wait for a job. */
  readonly marker: string;
  readonly events: string;
  /** Ids by deadline, of jobs that have not ended. Ours. */
  readonly deadlines: string;
  /** When retries were last brought forward, and how many. Ours; gone after a few seconds. */
  readonly forwardPace: string;
  /** What precedes a job id in the key of its hash. */
  readonly jobPrefix: string;
}

/** Which lanes the scope has: queue names by when somebody named them last. */
export const lanesKey = (keySpace: KeySpace): string => `${keySpace}:lanes`;

export function laneKeys(keySpace: KeySpace, pool: string, lane: string): LaneKeys {
  const base = `${keySpace}:${queueName(pool, lane)}:`;
  return {
    wait: `${base}wait`,
    prioritized: `${base}prioritized`,
    delayed: `${base}delayed`,
    active: `${base}active`,
    completed: `${base}completed`,
    failed: `${base}failed`,
    stalled: `${base}stalled`,
    stalledCheck: `${base}stalled-check`,
    marker: `${base}marker`,
    events: `${base}events`,
    deadlines: `${keySpace}:deadlines:${queueName(pool, lane)}`,
    forwardPace: `${keySpace}:forward:${queueName(pool, lane)}`,
    jobPrefix: base,
  };
}

/**
 * The field of a job's hash in which Sluice keeps the failure that ended it, as JSON. BullMQ keeps only its text.
 */
export const FAILURE_FIELD = "sluice:failure";

/** The field of a job's hash that says when it may start at the earliest after it was put off, and for how long it was. */
export const DUE_FIELD = "sluice:due";

/** The field of a job's hash in which one try leaves a note for the next, as JSON. */
export const NOTES_FIELD = "sluice:notes";

/** The field of a job's hash in which an `async` call that Bedrock has taken on is named, as JSON, until it is polled. */
export const INVOCATION_FIELD = "sluice:invocation";
