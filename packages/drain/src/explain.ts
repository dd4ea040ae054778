/** Why a job is where it is, and when it will run, as far as anybody can know. */
import {
  JOB_DATA,
  JOB_DATA_VERSION,
  jobRequestSchema,
  newerVersion,
  parseJobId,
  readJobData,
  type JobRequest,
  type Payload,
} from "@sluice/job";
import { lifeId, type JobView, type ReadingLane } from "./find.ts";
import { poolOf, type PoolsAsked } from "./pools.ts";
import type { Cost } from "./ports.ts";

/** What the gate would say to the job now. */
export interface GateAnswer {
  readonly answer: string;
  readonly cause: string | undefined;
  readonly afterMs: number;
}

export interface JobExplanation<Gate extends GateAnswer> {
  readonly id: string;
  readonly state: JobView["state"];
  /** The number of the replay that is told of; left out for the job's first life. */
  readonly replay?: number;
  /** One sentence; of a replay, a second one that says so. */
  readonly why: string;
  /** Jobs that are fetched before it; left out when it is not waiting its turn. */
  readonly ahead?: number;
  /**
   * What a call of its cost would be answered at the gate now; left out for a job that makes no further call, and while
   * no worker has started with its lane.
   */
  readonly gate?: Gate;
  /** Which workers have no valid credentials; left out while all have. */
  readonly identity?: string;
}

/** A pool as explaining needs it. */
export interface ExplainingPool<Gate extends GateAnswer> {
  readonly lanes: readonly string[];
  reserve(work: JobRequest): Cost;
  lane(name: string): ReadingLane & { ahead(id: string): Promise<number | undefined> };
  /** Asks the limiter, and changes nothing. Rejects with a RangeError where no worker has told it of the lane. */
  explain(lane: string, cost: Cost): Promise<Gate>;
  /** How it is about the credentials of the pool's workers; `undefined` while all have some. */
  identity(): Promise<WorkersIdentity | undefined>;
  /** Why nobody takes jobs of the lane, in one sentence; `undefined` while somebody does, or may. */
  unserved(lane: string): Promise<string | undefined>;
}

export interface WorkersIdentity {
  /** One sentence. */
  readonly line: string;
  /** No worker has any, so no call can be made. */
  readonly isolated: boolean;
}

export interface ExplainOptions<Gate extends GateAnswer> extends PoolsAsked<ExplainingPool<Gate>> {
  readonly find: (tenant: string, id: string) => Promise<JobView | undefined>;
  readonly decodePayload: (payload: Payload) => Promise<unknown>;
}

/** Makes the explainer. It resolves to `undefined` for a job the tenant does not have. */
export function createExplain<Gate extends GateAnswer>(
  options: ExplainOptions<Gate>,
): (tenant: string, id: string) => Promise<JobExplanation<Gate> | undefined> {
  return async (tenant, id) => {
    const view = await options.find(tenant, id);
    const parts = parseJobId(id);
    const pool = parts && (await poolOf(options, parts));
    if (view === undefined || parts === undefined || pool === undefined) return undefined;
    const { state, replay } = view;
    const seen = { id, state, ...(replay === undefined ? {} : { replay }) };
    const told = (why: string): string =>
      replay === undefined ? why : `${why}. This is its replay ${replay}`;
    if (state !== "waiting" && state !== "delayed") return { ...seen, why: told(WHY[state]) };

    const lane = pool.lane(parts.lane);
    const jobId = lifeId(view);
    const ahead = await lane.ahead(jobId);
    const read = readJobData((await lane.find(jobId))?.data);
    if (read.type === "newer") {
      const written = newerVersion(JOB_DATA, read.version, JOB_DATA_VERSION);
      return { ...seen, why: told(`${written}: it waits for a worker of that version`) };
    }
    // It has moved on between the two reads, or is a replay on its way to its lane.
    if (read.type === "malformed") return { ...seen, why: told(WHY[state]) };
    const { kind, payload } = read.data;
    const request = await options.decodePayload(payload);
    const work = jobRequestSchema.parse({ kind, request });
    const [gate, identity, unserved] = await Promise.all([
      pool.explain(parts.lane, pool.reserve(work)).catch(unlessUnknown),
      pool.identity(),
      pool.unserved(parts.lane),
    ]);
    const turn =
      gate === undefined
        ? NOT_STARTED
        : state === "delayed"
          ? delayedBecause(gate)
          : waitingBecause(gate, ahead);
    return {
      ...seen,
      why: told(unserved ?? (identity?.isolated === true ? identity.line : turn)),
      ...(gate === undefined ? {} : { gate }),
      ...(ahead === undefined ? {} : { ahead }),
      ...(identity === undefined ? {} : { identity: identity.line }),
    };
  };
}

const WHY: Readonly<Record<JobView["state"], string>> = {
  waiting: "It waits its turn",
  delayed: "It waits for its time: a start that was asked for, or the next try",
  active: "It is at Bedrock, waits for its start, or is next at the gate",
  completed: "It was answered",
  filtered: "A content filter stopped it",
  cancelled: "It was cancelled",
  dead: "It failed for good",
};

const NOT_STARTED = "No worker has started with this lane yet";

/** The limiter's word for a pool or a lane that nobody has declared. */
function unlessUnknown(error: unknown): undefined {
  if (!(error instanceof RangeError)) throw error;
}

const DAY_REST = "It reserves more than is left of the day's tokens, and smaller jobs pass it";

function delayedBecause({ answer, cause }: GateAnswer): string {
  return answer === "open" && cause === "day-rest" ? DAY_REST : WHY.delayed;
}

function waitingBecause({ answer, cause, afterMs }: GateAnswer, ahead: number | undefined): string {
  if (answer === "open" && cause === "day-rest") return DAY_REST;
  if (answer === "open") return `The pool takes no calls now (${cause ?? "closed"})`;
  if (ahead !== undefined && ahead > 0)
    return ahead === 1 ? "One job of its lane is before it" : `${ahead} jobs of its lane are before it`;
  return answer === "wait" ? `It is next; the quota has room in ${afterMs} ms` : "It is next";
}
