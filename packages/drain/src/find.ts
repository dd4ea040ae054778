/** Where a job is now, whoever holds it: its outcome, its lane or the dead letter store. */
import { jobDataSchema, parseJobId, type AnsweredOutcome, type Failure, type Outcome } from "@sluice/job";

/** A job as its caller may see it. */
export type JobView =
  | {
      readonly state: "waiting" | "delayed" | "active";
      readonly id: string;
      readonly acceptedAt: number;
      readonly deadlineAt: number;
      /** Tries so far that counted against the job. */
      readonly attempts: number;
    }
  | { readonly state: "completed" | "filtered"; readonly id: string; readonly outcome: AnsweredOutcome }
  | { readonly state: "cancelled"; readonly id: string }
  | { readonly state: "dead"; readonly id: string; readonly failure: Failure | undefined };

/** A pool as a reader sees it. */
export interface ReadingPool {
  readonly lanes: readonly string[];
  readonly outcomes: { get(id: string): Promise<Outcome | undefined> };
  lane(name: string): ReadingLane;
  /** Where started async calls wait for their next poll. */
  readonly polls: ReadingLane;
}

export interface ReadingLane {
  find(id: string): Promise<
    | {
        readonly state: "waiting" | "delayed" | "active" | "completed" | "failed" | "unknown";
        readonly data: unknown;
        readonly attemptsMade: number;
      }
    | undefined
  >;
}

export interface FindOptions {
  readonly pools: ReadonlyMap<string, ReadingPool>;
  /** The dead letter store; answers for jobs whose outcome has expired. */
  readonly deadLetters: {
    get(id: string): Promise<{ readonly tenant: string; readonly failure: Failure } | undefined>;
  };
}

/**
 * Makes the finder. It resolves to `undefined` for an id that is not ours, is unknown, or belongs to another tenant:
 * a caller cannot tell these apart.
 */
export function createFind(
  options: FindOptions,
): (tenant: string, id: string) => Promise<JobView | undefined> {
  return async (tenant, id) => {
    const parts = parseJobId(id);
    const pool = parts && options.pools.get(parts.pool);
    if (parts === undefined || pool === undefined || !pool.lanes.includes(parts.lane)) return undefined;

    const early = await pool.outcomes.get(id);
    if (early !== undefined) return viewOutcome(tenant, early);

    const inLane = await pool.lane(parts.lane).find(id);
    const polled = inLane !== undefined && isUnderWay(inLane.state) ? undefined : await pool.polls.find(id);
    const found = polled ?? inLane;
    const data = jobDataSchema.safeParse(found?.data);
    if (found !== undefined && data.success && data.data.tenant !== tenant) return undefined;
    if (found !== undefined && data.success && isUnderWay(found.state)) {
      const { acceptedAt, deadlineAt } = data.data;
      // Whatever the next poll waits for, the call itself is under way at Bedrock.
      const state = polled === undefined ? found.state : "active";
      return { state, id, acceptedAt, deadlineAt, attempts: found.attemptsMade };
    }

    // It may have ended between the two reads.
    const late = await pool.outcomes.get(id);
    if (late !== undefined) return viewOutcome(tenant, late);
    // Data that cannot be read names no tenant, so nobody may see the job.
    if (found?.state === "failed" && data.success) return { state: "dead", id, failure: undefined };

    const deadLetter = await options.deadLetters.get(id);
    if (deadLetter === undefined || deadLetter.tenant !== tenant) return undefined;
    return { state: "dead", id, failure: deadLetter.failure };
  };
}

function isUnderWay(state: string): state is "waiting" | "delayed" | "active" {
  return state === "waiting" || state === "delayed" || state === "active";
}

function viewOutcome(tenant: string, outcome: Outcome): JobView | undefined {
  if (outcome.tenant !== tenant) return undefined;
  const { id } = outcome;
  if (outcome.outcome === "dead") return { state: "dead", id, failure: outcome.failure };
  if (outcome.outcome === "cancelled") return { state: "cancelled", id };
  return { state: outcome.outcome, id, outcome };
}
