/** Why a job is where it is, and when it will run, as far as anybody can know: gathers what `why.ts` puts into words. */
import {
  adviceFor,
  JOB_DATA,
  JOB_DATA_VERSION,
  jobRequestSchema,
  lifeOf,
  newerVersion,
  parseJobId,
  readJobData,
  type Failure,
  type JobData,
  type JobRequest,
  type Payload,
} from "@sluice/job";
import { lifeId, type FindOptions, type JobView, type ReadingLane } from "./find.ts";
import { holderOf, type PoolsAsked } from "./pools.ts";
import type { Cost } from "./ports.ts";
import { LEASE_GRACE_MS } from "./start.ts";
import {
  reasonOf,
  reasonOfEnd,
  type GateAnswer,
  type LaneWait,
  type OpenCall,
  type Situation,
} from "./why.ts";

export interface JobExplanation<Gate extends GateAnswer> {
  readonly id: string;
  readonly state: JobView["state"];
  /** The number of the replay that is told of; left out for the job's first life. */
  readonly replay?: number;
  /** What keeps it, in a word; `docs/api.md` has them all. */
  readonly reason: string;
  /** The same in a sentence or two; of a replay, another one that says so. */
  readonly why: string;
  /** Jobs that are fetched before it; left out when it is not waiting its turn. */
  readonly ahead?: number;
  /** When it leaves the delayed set, ISO 8601. */
  readonly dueAt?: string;
  /** What a call of its cost would be answered at the gate now; left out for a job that makes no further call. */
  readonly gate?: Gate;
  /** Its call at Bedrock: the how manieth, for how long, and how long it may take. */
  readonly call?: { readonly number: number; readonly sinceMs: number; readonly atMostMs: number };
  /** The job with an equal request whose answer it waits for. */
  readonly leader?: string;
  /** What its last call failed of, or what it died of; `advice` for a death. */
  readonly failure?: { readonly errorClass: string; readonly message: string; readonly advice?: string };
  /** Its dead letter. */
  readonly letter?: { readonly id: string; readonly state: string };
  /** Which workers cannot call, for want of credentials, of a way, or of access; left out while all can. */
  readonly identity?: string;
}

/** A pool as explaining needs it. */
export interface ExplainingPool<Gate extends GateAnswer> {
  readonly lanes: readonly string[];
  /** Calls that one worker has in flight at most. */
  readonly slots: number;
  /** Pools that may answer in its place. */
  readonly fallback: readonly string[];
  /** Where started async calls wait for their next poll. */
  readonly polls: ReadingLane;
  reserve(work: JobRequest): Cost;
  /** How long a call may take, milliseconds. */
  budgetMs(work: JobRequest): number;
  lane(name: string): ReadingLane & {
    ahead(id: string): Promise<number | undefined>;
    wait(id: string): Promise<LaneWait>;
  };
  /** Asks the limiter, and changes nothing. Rejects with a RangeError where no worker has told it of the lane. */
  explain(lane: string, cost: Cost): Promise<Gate>;
  /** Calls of the pool that were let go and have not ended, and the scope's workers that live. */
  fleet(): Promise<{ readonly calls: number; readonly workers: number }>;
  /** The call in flight of a job. */
  openCall(id: string): Promise<OpenCall | undefined>;
  /** The job that is being answered an equal request. */
  leader(data: Pick<JobData, "tenant" | "pool">, work: JobRequest): Promise<string | undefined>;
  /** Which of the pool's workers cannot call, and why; `undefined` while all can. */
  identity(): Promise<WorkersIdentity | undefined>;
  /** Why nobody fetches from a lane, in a sentence; `undefined` while somebody does. Default: nothing is known of it. */
  unserved?(lane: string): Promise<string | undefined>;
  /** Whether nobody asks Bedrock about the pool's started async calls. Default: nothing is known of it. */
  unpolled?(): Promise<boolean>;
}

export interface WorkersIdentity {
  /** One sentence. */
  readonly line: string;
  /** No worker can, so no call is made. */
  readonly isolated: boolean;
}

export interface ExplainOptions<Gate extends GateAnswer> extends PoolsAsked<ExplainingPool<Gate>> {
  readonly find: (tenant: string, id: string) => Promise<JobView | undefined>;
  /** Where a dead job's letter is looked for. Without an answer the rest is told all the same. */
  readonly deadLetters: FindOptions["deadLetters"];
  readonly decodePayload: (payload: Payload) => Promise<unknown>;
}

/** A job that has not ended, as it was found. */
interface Found<Gate extends GateAnswer> {
  readonly state: Situation["state"];
  readonly jobId: string;
  readonly lane: string;
  readonly pool: ExplainingPool<Gate>;
}

type Details<Gate extends GateAnswer> = Omit<JobExplanation<Gate>, "id" | "state" | "replay">;

/** Makes the explainer. It resolves to `undefined` for a job the tenant does not have. */
export function createExplain<Gate extends GateAnswer>(
  options: ExplainOptions<Gate>,
): (tenant: string, id: string) => Promise<JobExplanation<Gate> | undefined> {
  return async (tenant, id) => {
    const view = await options.find(tenant, id);
    const parts = parseJobId(id);
    if (view === undefined || parts === undefined) return undefined;
    const { state, replay } = view;
    const jobId = lifeId(view);
    const pool = await holderOf(options, parts, jobId);
    if (pool === undefined) return undefined;
    const found = { jobId, lane: parts.lane, pool };
    const { why, ...details } =
      state === "waiting" || state === "delayed" || state === "active"
        ? ((await underWay(options, { state, ...found })) ?? reasonOfEnd(view, undefined, "unknown"))
        : await ended(options, view, found);
    const told = replay === undefined ? why : `${why}. This is its replay ${replay}`;
    return { id, state, ...(replay === undefined ? {} : { replay }), why: told, ...details };
  };
}

/** `undefined` when it has moved on since it was found, or is a replay on its way to its lane. */
async function underWay<Gate extends GateAnswer>(
  { decodePayload }: ExplainOptions<Gate>,
  { state, jobId, lane: name, pool }: Found<Gate>,
): Promise<Details<Gate> | undefined> {
  const lane = pool.lane(name);
  const [ahead, wait, inLane, polled] = await Promise.all([
    lane.ahead(jobId),
    lane.wait(jobId),
    lane.find(jobId),
    state === "active" ? pool.polls.find(jobId) : undefined,
  ]);
  const read = readJobData((polled ?? inLane)?.data);
  if (read.type === "newer") {
    const written = newerVersion(JOB_DATA, read.version, JOB_DATA_VERSION);
    return { reason: "newer-version", why: `${written}: it waits for a worker of that version` };
  }
  if (read.type === "malformed") return undefined;
  // In hand, it is in those of a worker that reads them.
  if (wait.newer !== undefined && state !== "active") {
    return { reason: "newer-version", why: `${wait.newer}: it waits for a worker of that version` };
  }
  const { data } = read;
  const work = jobRequestSchema.parse({ kind: data.kind, request: await decodePayload(data.payload) });
  const [gate, identity, fleet, open, leader, unserved, unpolled] = await Promise.all([
    pool.explain(name, pool.reserve(work)).catch(unlessUnknown),
    pool.identity(),
    pool.fleet(),
    state === "active" ? pool.openCall(jobId) : undefined,
    data.cacheMs === undefined ? undefined : pool.leader(data, work),
    pool.unserved?.(name),
    data.invocation === undefined ? false : pool.unpolled?.(),
  ]);
  const asyncSince = data.invocation?.startedAt;
  const situation: Situation = {
    state,
    wait,
    ahead,
    gate: gate ?? NO_GATE,
    fleet: { ...fleet, slots: slotsFor(pool, name, fleet.workers) },
    unserved: unserved ?? (gate === undefined ? NOT_STARTED : undefined),
    isolated: identity?.isolated === true ? identity.line : undefined,
    fallback: pool.fallback,
    leader: leader === jobId ? undefined : leader,
    call: open && timed(open, pool.budgetMs(work)),
    asyncSince,
    unpolled: unpolled === true,
  };
  const reason = reasonOf(situation);
  const { last } = wait.notes;
  return {
    ...reason,
    ...(ahead === undefined ? {} : { ahead }),
    ...(wait.dueAt === undefined ? {} : { dueAt: new Date(wait.dueAt).toISOString() }),
    // What Bedrock works on asks for nothing any more.
    ...(gate === undefined || reason.reason === "at-bedrock" || reason.reason === "async" ? {} : { gate }),
    ...(reason.reason === "at-bedrock" && situation.call !== undefined
      ? { call: shown(situation.call) }
      : {}),
    ...(last === undefined ? {} : { failure: { errorClass: last.errorClass, message: last.message } }),
    ...(identity === undefined ? {} : { identity: identity.line }),
  };
}

/**
 * The lease begins with the call, and is that much longer than it. A call in a fallback pool has that pool's time.
 * @param ownBudgetMs the time of its own pool, for a call of which a version before has said no more.
 */
function timed(open: OpenCall, ownBudgetMs: number): NonNullable<Situation["call"]> {
  if (open.lease !== undefined) {
    const { sinceMs, forMs } = open.lease;
    return { ...open, sinceMs, budgetMs: Math.max(0, forMs - LEASE_GRACE_MS) };
  }
  const sinceMs = Math.max(0, ownBudgetMs + LEASE_GRACE_MS - open.leaseLeftMs);
  return { ...open, sinceMs, budgetMs: ownBudgetMs };
}

const NOT_STARTED = "No worker has started with this lane yet";
const NO_GATE: GateAnswer = { answer: "wait", cause: undefined, afterMs: 0 };

/** The limiter's word for a pool or a lane that nobody has declared. */
function unlessUnknown(error: unknown): undefined {
  if (!(error instanceof RangeError)) throw error;
}

function shown({
  call,
  sinceMs,
  budgetMs,
}: NonNullable<Situation["call"]>): NonNullable<JobExplanation<GateAnswer>["call"]> {
  return { number: call, sinceMs, atMostMs: budgetMs };
}

/** One slot of each worker is kept for each more urgent lane. */
function slotsFor(
  { lanes, slots }: Pick<ExplainingPool<GateAnswer>, "lanes" | "slots">,
  lane: string,
  workers: number,
): number {
  return workers * Math.max(1, slots - Math.max(0, lanes.indexOf(lane)));
}

async function ended<Gate extends GateAnswer>(
  { deadLetters }: ExplainOptions<Gate>,
  view: JobView,
  { jobId, lane, pool }: Omit<Found<Gate>, "state">,
): Promise<Details<Gate>> {
  if (view.state !== "dead") return reasonOfEnd(view, undefined, "unknown");
  const root = lifeOf(view.id).id;
  const [failure, letter] = await Promise.all([
    view.failure ?? failureInLane(pool, lane, jobId),
    deadLetters.look(root).catch((): "unknown" => "unknown"),
  ]);
  const place = letter === undefined || letter === "unknown" ? letter : { id: root, state: letter.state };
  return {
    ...reasonOfEnd(view, failure, place),
    ...(failure === undefined ? {} : { failure: withAdvice(failure) }),
    ...(place === undefined || place === "unknown" ? {} : { letter: place }),
  };
}

async function failureInLane<Gate extends GateAnswer>(
  pool: ExplainingPool<Gate>,
  lane: string,
  jobId: string,
): Promise<Failure | undefined> {
  return (await pool.lane(lane).wait(jobId)).failure;
}

function withAdvice(failure: Failure): NonNullable<JobExplanation<GateAnswer>["failure"]> {
  const { errorClass, message } = failure;
  const advice = adviceFor(failure);
  return { errorClass, message, ...(advice === undefined ? {} : { advice }) };
}
