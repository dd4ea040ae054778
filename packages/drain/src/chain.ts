/** One round of questions at the gates of a pool and of those that may answer in its place. */
import { factsOf } from "@sluice/job";
import type { Candidate, DrainOptions, Grant, SlotElsewhere } from "./candidate.ts";
import { reservationId } from "./left-calls.ts";
import type { Admission, Entry } from "./ports.ts";

export type ChainAnswer =
  | { readonly type: "granted"; readonly waitMs: number; readonly grant: Grant }
  /** Nothing is held; the next round makes sense then. `shut`: the job's own pool takes no calls at all. */
  | { readonly type: "wait"; readonly afterMs: number; readonly shut: boolean }
  /** Nothing is held, and this process can make no such call for now; another may. */
  | { readonly type: "elsewhere"; readonly reason: "no-identity" | "no-way" | "denied-here" }
  /** Nothing is held: it is this job alone that must wait, for the day to turn or for room. Others of its lane need not. */
  | { readonly type: "apart"; readonly turnsInMs: number; readonly askMs: number | undefined };

/** The reservation of a worker that died is dropped this long after its call must have ended. */
const RESERVATION_GRACE_MS = 60_000;

/** The next round when no pool of the chain had a free slot to ask with. */
const NO_SLOT_MS = 1_000;

/**
 * A job at the gate asks again at least so often, whatever it was told: an operator may close a breaker, release a day or
 * raise a quota at any time.
 */
const LONGEST_SLEEP_MS = { open: 5_000, wait: 30_000 } as const;

/**
 * Asks the pools of the chain in turn, going on only from one that is open or could not answer in time: a job that
 * merely has to wait its turn waits in its own pool.
 * @param ask puts one question to a gate; rejects when it will not be answered.
 */
export async function askChain(
  { job, data, work, notes }: Candidate,
  { chain, clock }: Pick<DrainOptions, "chain" | "clock">,
  ask: (question: () => Promise<Admission>) => Promise<Admission>,
): Promise<ChainAnswer> {
  // The pools file may have changed since the note was made.
  const first = Math.min(notes.entry, chain.length - 1);
  const { operation } = factsOf(work);
  let soonestMs = Infinity;
  let elsewhere: "no-identity" | "no-way" | "denied-here" | undefined;
  let isBusy = false;
  let turnsInMs: number | undefined;
  let waitMs: number | undefined;
  let shut = false;
  for (const [index, entry] of chain.entries()) {
    if (index < first) continue;
    const lane = entry.laneFor(data.lane);
    const release = index === 0 ? () => {} : entry.tryAcquire(lane);
    if (release === undefined) {
      isBusy = true;
      continue;
    }
    const reservation = reservationId(job.id, job.attemptsStarted, entry.pool);
    const cost = entry.model.reserve(work);
    const ttlMs = entry.model.budgetMs(work) + RESERVATION_GRACE_MS;
    try {
      const admission = await ask(() =>
        entry.gate.admit({ pool: entry.pool, lane, job: job.id, id: reservation, operation, cost, ttlMs }),
      );
      if (admission.type === "granted") {
        const probe = admission.probe === true;
        const slot = index === 0 ? NONE : slotOf(entry, lane);
        const grant = { entry, index, lane, slot, reservation, probe };
        return { type: "granted", waitMs: admission.waitMs, grant };
      }
      if (admission.type === "open") {
        shut ||= index === first;
        elsewhere = reasonElsewhere(admission) ?? elsewhere;
        if (admission.cause === "day-rest") turnsInMs ??= admission.afterMs;
      }
      soonestMs = Math.min(soonestMs, admission.afterMs, LONGEST_SLEEP_MS[admission.type]);
      if (admission.type === "wait" && clock() + admission.afterMs < data.deadlineAt) {
        elsewhere = undefined;
        waitMs = admission.afterMs;
        break;
      }
    } finally {
      release();
    }
  }
  if (turnsInMs !== undefined) {
    return { type: "apart", turnsInMs, askMs: waitMs ?? (isBusy ? LONGEST_SLEEP_MS.open : undefined) };
  }
  // What has no slot free takes calls.
  if (isBusy) return { type: "wait", afterMs: Math.min(soonestMs, NO_SLOT_MS), shut };
  if (elsewhere !== undefined) return { type: "elsewhere", reason: elsewhere };
  return { type: "wait", afterMs: soonestMs, shut };
}

/** Why this process alone cannot make the call, if so. */
function reasonElsewhere({
  elsewhere,
  cause,
}: Extract<Admission, { type: "open" }>): "no-identity" | "no-way" | "denied-here" | undefined {
  if (cause === "denied") return "denied-here";
  if (elsewhere !== true) return undefined;
  return cause === "way" ? "no-way" : "no-identity";
}

const NONE: SlotElsewhere = { take: async () => true, release: () => {} };

/** Whoever has a grant holds no slot of another pool until its start: it may wait for that, and for a slot of its own. */
function slotOf(entry: Entry, lane: string): SlotElsewhere {
  let release: (() => void) | undefined;
  return {
    async take(signal) {
      release = await entry.acquire(lane, signal);
      return release !== undefined;
    },
    release() {
      release?.();
      release = undefined;
    },
  };
}
