/**
 * Where a job is now, whoever holds it: its outcome, its lane or the dead letter store. A job that died and was replayed
 * is its latest replay: whoever asks for it is told of that life, and which one it is.
 */
import {
  lifeOf,
  parseJobId,
  readJobEnvelope,
  replayId,
  type AnsweredOutcome,
  type Failure,
  type Outcome,
} from "@sluice/job";
import { isUnderWay } from "./former-life.ts";
import { poolOf, type PoolsAsked } from "./pools.ts";

/** What every view says. */
interface Seen {
  /** As it was asked for. */
  readonly id: string;
  /** The number of the replay that is told of; left out for the job's first life. */
  readonly replay?: number;
}

/** A job as its caller may see it. */
export type JobView = Seen &
  (
    | {
        readonly state: "waiting" | "delayed" | "active";
        readonly acceptedAt: number;
        readonly deadlineAt: number;
        /** Tries so far that counted against the job. */
        readonly attempts: number;
      }
    | { readonly state: "completed" | "filtered"; readonly outcome: AnsweredOutcome }
    | { readonly state: "cancelled" }
    | { readonly state: "dead"; readonly failure: Failure | undefined }
  );

/** The id under which the life that a view tells of is kept everywhere. */
export function lifeId({ id, replay = 0 }: Seen): string {
  return replayId(id, replay);
}

/** A pool as a reader sees it. */
export interface ReadingPool {
  readonly lanes: readonly string[];
  /** How long a replay may take at least, milliseconds. */
  readonly deadlineMs: number;
  readonly outcomes: { get(id: string): Promise<Outcome | undefined> };
  /** The number of a job's latest replay, as far as Redis knows. */
  readonly lineage: { latest(id: string): Promise<number | undefined> };
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
        /** Times it was fetched. Default 0. */
        readonly fetched?: number;
        /** Times its worker vanished under it. Default 0. */
        readonly stalls?: number;
      }
    | undefined
  >;
}

/** A dead letter as a reader needs it. */
export interface ReadLetter {
  readonly tenant: string;
  readonly failure: Failure;
  readonly state: "dead" | "parked" | "replaying" | "resolved";
  /** The life that died last. */
  readonly jobId: string;
  readonly replays: number;
  readonly claim?: { readonly at: number };
}

export interface FindOptions extends PoolsAsked<ReadingPool> {
  /** The dead letter store; asked only about jobs that Redis does not know (any more). */
  readonly deadLetters: { look(id: string): Promise<ReadLetter | undefined> };
}

/** Where the lives of one job are looked for. */
interface Place {
  readonly pool: ReadingPool;
  readonly lane: string;
  /** The id of the job's first life. */
  readonly id: string;
}

/** One life as Redis knows it. */
type Life = { readonly tenant: string; readonly view: JobView };

/**
 * Makes the finder. It resolves to `undefined` for an id that is not ours, is unknown, or belongs to another tenant:
 * a caller cannot tell these apart.
 */
export function createFind(
  options: FindOptions,
): (tenant: string, id: string) => Promise<JobView | undefined> {
  return async (tenant, id) => {
    const parts = parseJobId(id);
    const pool = parts && (await poolOf(options, parts));
    if (parts === undefined || pool === undefined) return undefined;
    const root = lifeOf(id).id;
    const places: Place[] = [{ pool, lane: parts.lane, id: root }];

    let { replay } = parts;
    let died: JobView | undefined;
    let lookedAgain = false;
    let lookedElsewhere = false;
    for (;;) {
      const life = await firstOf(places, async (place) => inRedis(place, replay));
      if (life !== undefined && life.tenant !== tenant) return undefined;
      if (life !== undefined && life.view.state !== "dead") return { ...life.view, id };
      if (life !== undefined) died = { ...life.view, id };
      const later = await firstOf(places, async (place) => laterReplay(place, replay));
      if (later !== undefined) {
        replay = later;
        continue;
      }
      if (life !== undefined) return died;
      if (!lookedElsewhere) {
        lookedElsewhere = true;
        // The pool may have been moved to another scope, with the job left where it was.
        const former = await options.elsewhere?.(parts.pool, parts.lane);
        if (former !== undefined && former !== pool) {
          places.push({ pool: former, lane: parts.lane, id: root });
          continue;
        }
      }

      const letter = await options.deadLetters.look(root);
      if (letter === undefined || letter.tenant !== tenant || letter.replays < replay) return died;
      const isLater = letter.replays > replay && letter.state !== "dead" && letter.state !== "parked";
      // It may have entered its lane, and ended, between the two reads.
      if (isLater || (letter.state === "resolved" && !lookedAgain)) {
        lookedAgain = !isLater;
        replay = letter.replays;
        continue;
      }
      return byLetter(letter, id, pool.deadlineMs);
    }
  };
}

async function firstOf<T>(
  places: readonly Place[],
  look: (place: Place) => Promise<T | undefined>,
): Promise<T | undefined> {
  for (const place of places) {
    // oxlint-disable-next-line no-await-in-loop -- there are two at most, and the second is rarely asked
    const found = await look(place);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** One life: its outcome, or where its lane has it. */
async function inRedis({ pool, lane, id: root }: Place, replay: number): Promise<Life | undefined> {
  const id = replayId(root, replay);
  const seen = { id, ...numbered(replay) };
  const early = await pool.outcomes.get(id);
  if (early !== undefined) return ofOutcome(early, seen);

  const inLane = await pool.lane(lane).find(id);
  const polled = inLane !== undefined && isUnderWay(inLane.state) ? undefined : await pool.polls.find(id);
  const found = polled ?? inLane;
  const job = readJobEnvelope(found?.data);
  if (found !== undefined && job !== undefined && isUnderWay(found.state)) {
    const { tenant, acceptedAt, deadlineAt } = job;
    // Whatever the next poll waits for, the call itself is under way at Bedrock.
    const state = polled === undefined ? found.state : "active";
    return { tenant, view: { ...seen, state, acceptedAt, deadlineAt, attempts: found.attemptsMade } };
  }

  // It may have ended between the two reads.
  const late = await pool.outcomes.get(id);
  if (late !== undefined) return ofOutcome(late, seen);
  // Data that cannot be read names no tenant, so nobody may see the job.
  if (found?.state !== "failed" || job === undefined) return undefined;
  return { tenant: job.tenant, view: { ...seen, state: "dead", failure: undefined } };
}

/**
 * A replay after this one. One that was started by a version that did not note it is found once it has ended: by its
 * outcome.
 */
async function laterReplay({ pool, id }: Place, replay: number): Promise<number | undefined> {
  const latest = await pool.lineage.latest(id);
  if (latest !== undefined && latest > replay) return latest;
  const next = await pool.outcomes.get(replayId(id, replay + 1));
  return next === undefined ? undefined : replay + 1;
}

/** What only the letter still knows, or knows already. */
function byLetter(letter: ReadLetter, id: string, deadlineMs: number): JobView | undefined {
  const { state, failure, jobId, replays, claim } = letter;
  // Answered, and the answer is no longer kept.
  if (state === "resolved") return undefined;
  if (state !== "replaying" || claim === undefined) {
    return { state: "dead", id, failure, ...numbered(lifeOf(jobId).replay) };
  }
  // Claimed, and not yet in its lane.
  const { at: acceptedAt } = claim;
  const deadlineAt = acceptedAt + deadlineMs;
  return { state: "waiting", id, acceptedAt, deadlineAt, attempts: 0, ...numbered(replays) };
}

function numbered(replay: number): { readonly replay?: number } {
  return replay === 0 ? {} : { replay };
}

function ofOutcome(outcome: Outcome, seen: Seen): Life {
  const { tenant } = outcome;
  if (outcome.outcome === "dead")
    return { tenant, view: { ...seen, state: "dead", failure: outcome.failure } };
  if (outcome.outcome === "cancelled") return { tenant, view: { ...seen, state: "cancelled" } };
  return { tenant, view: { ...seen, state: outcome.outcome, outcome } };
}
