/** What became of the jobs of one arm, by both accounts. Pure: everything was read before. */
import type { SeenCall } from "../evidence.ts";
import type { Found } from "../records.ts";
import type { Arm, Case } from "./plan.ts";

type FoundEnd = Pick<Found, "outcome" | "lane">;

/** An arm when it is over. */
export interface EndedArm {
  readonly of: Case;
  readonly arm: Arm;
  readonly ids: readonly string[];
  /** In the order of `ids`. */
  readonly found: readonly FoundEnd[];
  /** When the fault ended, milliseconds since the epoch. */
  readonly faultEndedAt: number;
  /** How often the workers of a site of its own have said that their jobs met the fault. Of a shared one: 0. */
  readonly felt: number;
}

export interface ArmFigures {
  readonly jobs: number;
  readonly answered: number;
  /** Ended as filtered or cancelled, which nobody asked for: neither answered nor dead. */
  readonly otherwise: number;
  readonly dead: number;
  /** How many died of what. */
  readonly deadOf: Readonly<Record<string, number>>;
  /** Accepted, and without any end when their deadline and a grace are over. */
  readonly lost: number;
  /** Jobs of which a call was made after their answer was stored. */
  readonly paidTwice: number;
  /** Most calls of one job, and most that may have been billed: those that had got past the quota. */
  readonly maxCalls: number;
  readonly maxPaidFor: number;
  /** How often the fault was met: calls, as the simulator saw them, and failures before it that our workers told. */
  readonly struck: number;
  /** From the end of the fault to the end of the first call that was answered then, seconds. */
  readonly firstAnswerS: number | undefined;
  /** From the end of the fault to the end of the last job that had been accepted by then, seconds. */
  readonly drainedS: number | undefined;
}

/** Of a job that is dead and could not be moved: the mover writes its outcome. */
const IN_OUTBOX = "(in the outbox)";

export function armFigures(
  { ids, found, faultEndedAt, felt }: Pick<EndedArm, "ids" | "found" | "faultEndedAt" | "felt">,
  calls: ReadonlyMap<string, readonly SeenCall[]>,
): ArmFigures {
  const deadOf: Record<string, number> = {};
  let [answered, otherwise, lost, paidTwice] = [0, 0, 0, 0];
  for (const [index, id] of ids.entries()) {
    const outcome = found[index]?.outcome;
    const cause = causeOfDeath(found[index]);
    if (cause !== undefined) deadOf[cause] = (deadOf[cause] ?? 0) + 1;
    else if (outcome === undefined) lost += 1;
    else if (outcome.outcome === "completed") {
      answered += 1;
      if (calls.get(id)?.some(({ startedAt }) => startedAt > outcome.endedAt)) paidTwice += 1;
    } else otherwise += 1;
  }
  const callsOf = ids.map((id) => calls.get(id) ?? []);
  const answers = callsOf
    .flat()
    .filter(({ outcome, endedAt }) => outcome === "completed" && endedAt > faultEndedAt);
  const left = found.flatMap(({ outcome }) =>
    outcome !== undefined && outcome.acceptedAt <= faultEndedAt && outcome.endedAt > faultEndedAt
      ? [outcome.endedAt]
      : [],
  );
  return {
    jobs: ids.length,
    answered,
    otherwise,
    dead: Object.values(deadOf).reduce((sum, count) => sum + count, 0),
    deadOf,
    lost,
    paidTwice,
    maxCalls: Math.max(0, ...callsOf.map(({ length }) => length)),
    maxPaidFor: Math.max(0, ...callsOf.map((all) => all.filter(({ admitted }) => admitted).length)),
    struck: felt + callsOf.flat().filter(({ fault }) => fault !== null).length,
    firstAnswerS: secondsTo(answers.map(({ endedAt }) => endedAt).toSorted((a, b) => a - b)[0]),
    drainedS: secondsTo(left.toSorted((a, b) => b - a)[0]),
  };

  function secondsTo(at: number | undefined): number | undefined {
    return at === undefined ? undefined : (at - faultEndedAt) / 1_000;
  }
}

function causeOfDeath(found: FoundEnd | undefined): string | undefined {
  if (found?.lane === "failed") return IN_OUTBOX;
  return found?.outcome?.outcome === "dead" ? found.outcome.failure.errorClass : undefined;
}

/** The sums that must be 0, but for the first. */
export interface Sums {
  readonly jobs: number;
  readonly dead: number;
  readonly lost: number;
  readonly paidTwice: number;
  readonly otherwise: number;
}

export function sums(arms: readonly ArmFigures[]): Sums {
  const sum = (of: (arm: ArmFigures) => number): number => arms.reduce((total, arm) => total + of(arm), 0);
  return {
    jobs: sum(({ jobs }) => jobs),
    dead: sum(({ dead }) => dead),
    lost: sum(({ lost }) => lost),
    paidTwice: sum(({ paidTwice }) => paidTwice),
    otherwise: sum(({ otherwise }) => otherwise),
  };
}
