/**
 * Why a job is where it is, in a word for programs and a sentence for people. Pure: what is known of the job goes in. The
 * first thing that keeps it counts; what would keep it afterwards is not told.
 */
import { adviceFor, type Failure, type Notes } from "@sluice/job";
import type { JobView, ReadLetter } from "./find.ts";
import { spell } from "./spell.ts";

/** What the gate would say to the job now. */
export interface GateAnswer {
  readonly answer: string;
  readonly cause: string | undefined;
  readonly afterMs: number;
  /** The breaker's phase. */
  readonly phase?: string;
  /** An operator has shut the pool. */
  readonly byHand?: boolean;
}

/** What a lane knows of a job beyond its place. */
export interface LaneWait {
  /** Redis's clock, milliseconds since the epoch. */
  readonly now: number;
  /** When it leaves the delayed set; `undefined` for a job that is not in it. */
  readonly dueAt: number | undefined;
  /** Times it was fetched. */
  readonly fetched: number;
  /** Somebody has it in hand, and renews the lock. */
  readonly locked: boolean;
  readonly notes: Notes;
  /** A sentence, when only a worker of a newer version can read what its tries have left. */
  readonly newer: string | undefined;
  /** Of a job in the failed set. */
  readonly failure: Failure | undefined;
}

/** A call that is in flight, as its process has said. */
export interface OpenCall {
  /** The job's `call`-th. */
  readonly call: number;
  /** Until it counts as lost even if its process lives, milliseconds. */
  readonly leaseLeftMs: number;
  /** Its process lives. */
  readonly alive: boolean;
  /** How long it has been leased, and for how long it was, milliseconds. Absent: a version before did not say. */
  readonly lease?: { readonly sinceMs: number; readonly forMs: number };
}

export interface FleetSlots {
  /** Workers of the scope that live. */
  readonly workers: number;
  /** Calls of the pool that were let go and have not ended. */
  readonly calls: number;
  /** Calls that jobs of this lane may have beside them, in the whole fleet. */
  readonly slots: number;
}

/** All there is to know of a job that has not ended. */
export interface Situation {
  readonly state: "waiting" | "delayed" | "active";
  readonly wait: LaneWait;
  readonly ahead: number | undefined;
  readonly gate: GateAnswer;
  readonly fleet: FleetSlots;
  /** Why nobody fetches from its lane, in a sentence. */
  readonly unserved: string | undefined;
  /** Why no worker can make a call, in a sentence. */
  readonly isolated: string | undefined;
  /** Pools that answer in its place when its own takes no calls. */
  readonly fallback: readonly string[];
  /** Another job that is being answered the same. */
  readonly leader: string | undefined;
  readonly call: (OpenCall & { readonly budgetMs: number; readonly sinceMs: number }) | undefined;
  /** When Bedrock took on an async call of it, milliseconds since the epoch. */
  readonly asyncSince: number | undefined;
  /** No worker asks Bedrock about that. */
  readonly unpolled: boolean;
}

/** `reason` is one of `docs/api.md`; `why` a sentence or two without the last full stop. */
export interface Reason {
  readonly reason: string;
  readonly why: string;
  /** The job with an equal request whose answer it waits for. */
  readonly leader?: string;
}

/** What closes a pool, as a reason and in words. A cause that is not here is told by its name. */
const CLOSED: Readonly<Record<string, (afterMs: number, gate: GateAnswer) => string>> = {
  breaker: (ms, { phase, byHand }) => {
    const next = spell(ms);
    if (phase === "suspected") {
      return `calls were denied access to the model: the pool makes none but one, which finds out, in ${next}`;
    }
    const opened =
      byHand === true ? "an operator has opened its breaker" : "its breaker is open after failures";
    return `the pool takes no calls: ${opened}, and it tries one in ${next}`;
  },
  probing: (ms) => `the pool takes no calls but one, which finds out whether it works again (${spell(ms)})`,
  isolated: (ms, { byHand }) =>
    byHand === true
      ? "an operator has isolated the pool: it makes no call until one closes its breaker"
      : `access to the model is denied to every call, so the pool makes none but one in ${spell(ms)}. Mend the access`,
  day: (ms) => `the tokens of the day are used up: the pool is parked for ${spell(ms)}`,
  "day-rest": (ms) =>
    `it reserves more than is left of the day's tokens, and smaller jobs pass it: the day ends in ${spell(ms)}`,
  hold: (ms) => `Bedrock has asked for no calls (Retry-After) for another ${spell(ms)}`,
};

/** Of a job that has not ended. */
export function reasonOf(situation: Situation): Reason {
  if (situation.asyncSince !== undefined) return polled(situation, situation.asyncSince);
  switch (situation.state) {
    case "waiting":
      return held(situation) ?? waiting(situation);
    case "delayed":
      return delayed(situation);
    case "active":
      return active(situation);
  }
}

/** Of a job that has. */
export function reasonOfEnd(
  view: JobView,
  failure: Failure | undefined,
  letter: (Pick<ReadLetter, "state"> & { readonly id: string }) | undefined | "unknown",
): Reason {
  switch (view.state) {
    case "completed":
      return {
        reason: "completed",
        why:
          view.outcome.answer.cached === true
            ? "It was answered as an equal request was before, without a call"
            : "It was answered",
      };
    case "filtered":
      return {
        reason: "filtered",
        why: `A content filter stopped it (${view.outcome.answer.stopReason})`,
      };
    case "cancelled":
      return { reason: "cancelled", why: "It was cancelled" };
    case "dead":
      return { reason: "dead", why: sentences([diedOf(failure), letterOf(letter)]) };
    case "waiting":
    case "delayed":
    case "active":
      return MOVED[view.state];
  }
}

/** Where it was found first; it has moved on since, or is a replay on its way to its lane. */
const MOVED = {
  waiting: { reason: "next", why: "It waits its turn" },
  delayed: { reason: "retry", why: "It waits for its time: a start that was asked for, or the next try" },
  active: { reason: "next", why: "It is in a worker's hands" },
} as const;

function diedOf(failure: Failure | undefined): string {
  if (failure === undefined) return "It failed for good";
  const advice = adviceFor(failure);
  return sentences([`It failed for good: ${failure.errorClass}: ${failure.message}`, advice]);
}

function letterOf(
  letter: (Pick<ReadLetter, "state"> & { readonly id: string }) | undefined | "unknown",
): string | undefined {
  if (letter === "unknown") return undefined;
  if (letter === undefined) return "It is on its way to the dead letters";
  return `Its dead letter is \`sluice dead-letters show ${letter.id}\`${letter.state === "dead" ? "" : `, now ${letter.state}`}`;
}

/** What keeps every job of the lane, whatever its turn. */
function held({ fleet, unserved, isolated, gate, fallback }: Situation): Reason | undefined {
  if (fleet.workers === 0) return { reason: "no-worker", why: "No worker of its pool's scope is running" };
  if (unserved !== undefined) return { reason: "unserved-lane", why: unserved };
  if (isolated !== undefined) return { reason: "no-identity", why: isolated };
  if (gate.answer !== "open") return undefined;
  const { cause = "closed", afterMs } = gate;
  const closed = CLOSED[cause]?.(afterMs, gate) ?? `the pool takes no calls now (${cause})`;
  const others =
    fallback.length === 0 ? undefined : `Meanwhile ${fallback.join(", ")} may answer in its place`;
  return { reason: cause, why: sentences([capital(closed), others]) };
}

function waiting({ ahead = 0, gate, fleet }: Situation): Reason {
  const full = fleet.calls >= fleet.slots;
  const slots = `calls fill the slots that its lane may use (${fleet.calls} under way, ${fleet.slots} of ${count(fleet.workers, "worker")})`;
  if (ahead > 0) {
    const before =
      ahead === 1 ? "One job of its lane is before it" : `${ahead} jobs of its lane are before it`;
    return { reason: "ahead", why: full ? sentences([before, capital(slots)]) : before };
  }
  if (waitsForQuota(gate))
    return { reason: "quota", why: `It is next; the quota has room in ${spell(gate.afterMs)}` };
  if (full) return { reason: "slots", why: `It is next, and ${slots}` };
  return { reason: "next", why: "It is next" };
}

function delayed(situation: Situation): Reason {
  const { wait, leader } = situation;
  const { dueAt, now, notes, fetched } = wait;
  const isDue = dueAt === undefined || dueAt <= now;
  const shut = held(situation);
  if (fetched === 0 && notes.failures === 0 && dueAt !== undefined) {
    const asked = `It was asked for not before ${new Date(dueAt).toISOString()}`;
    if (!isDue) return { reason: "scheduled", why: `${asked}, in ${spell(dueAt - now)}` };
    // Its lane is about to have it.
    return shut ?? { reason: "scheduled", why: `${asked}, that is now` };
  }
  if (leader !== undefined) {
    // Nobody asks for that job either, unless its call is out already.
    const waits = `It waits for the answer to an equal request, job ${leader}`;
    if (shut !== undefined) return { reason: shut.reason, leader, why: sentences([waits, shut.why]) };
    const why = `An equal request is being answered, job ${leader}: it gets that answer, and looks again soon`;
    return { reason: "shared", leader, why };
  }
  if (shut?.reason === "day-rest") return shut;
  const past = pastOf(notes);
  // Who comes back now meets a closed gate, or comes back to nobody.
  if (isDue && shut !== undefined) return { reason: shut.reason, why: sentences([shut.why, past.why]) };
  const due = isDue ? "is due now" : `is due in ${spell(dueAt - now)}`;
  return { reason: past.reason, why: sentences([`${past.why}${past.goesOn} ${due}`, shut?.why]) };
}

/** What has sent it back, and how the sentence goes on to what comes next. */
function pastOf(notes: Notes): Reason & { readonly goesOn: string } {
  const last = notes.last === undefined ? "" : `: ${notes.last.errorClass}: ${notes.last.message}`;
  if (notes.apart) {
    const why = `It was throttled ${notes.throttles} times in a row while others were answered, so it is kept apart and tried ever more rarely${last}`;
    return { reason: "apart", why, goesOn: NEXT_TRY };
  }
  if (notes.failures > 0) return { reason: "retry", why: `Its last call failed${last}`, goesOn: NEXT_TRY };
  return { reason: "handed-back", why: "It was handed back without a call", goesOn: ", and" };
}

const NEXT_TRY = ". Its next try";

function active(situation: Situation): Reason {
  const { call, wait, gate } = situation;
  if (call !== undefined && call.leaseLeftMs > 0) {
    if (!call.alive) {
      return {
        reason: "lost-call",
        why: `Its worker vanished during call ${call.call}: the job is tried again as soon as that is certain, within a minute or so`,
      };
    }
    return {
      reason: "at-bedrock",
      why: `Its call ${call.call} has been at Bedrock for ${spell(call.sinceMs)}, and may take ${spell(call.budgetMs)}`,
    };
  }
  if (!wait.locked) {
    return { reason: "worker-gone", why: "Its worker vanished: another takes it over within half a minute" };
  }
  const shut = held(situation);
  if (shut !== undefined) return { reason: shut.reason, why: `It is at the gate. ${shut.why}` };
  if (waitsForQuota(gate)) {
    const when = `for a call that asks now the quota has room in ${spell(gate.afterMs)}`;
    return { reason: "quota", why: `It is at the gate, or waits for the start it was given: ${when}` };
  }
  return { reason: "next", why: "It is at the gate, and about to start" };
}

/** A grant may lie ahead as well. */
function waitsForQuota({ answer, afterMs }: GateAnswer): boolean {
  return answer === "wait" || (answer === "granted" && afterMs > NOTICED_MS);
}

function polled({ wait, unpolled }: Situation, since: number): Reason {
  const ago = spell(Math.max(0, wait.now - since));
  if (unpolled) {
    return {
      reason: "unserved-lane",
      why: `Bedrock has worked on its async call for ${ago}, and no worker asks it for the answer: none that runs has the pool in its pools file. Start one that has, before the job's deadline`,
    };
  }
  return {
    reason: "async",
    why: `Bedrock has worked on its async call for ${ago}, and may for an hour; it is asked every half minute at most`,
  };
}

function sentences(parts: readonly (string | undefined)[]): string {
  return parts.flatMap((part) => (part === undefined ? [] : [part.replace(/\.$/, "")])).join(". ");
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function count(value: number, what: string): string {
  return `${value} ${what}${value === 1 ? "" : "s"}`;
}

/** Shorter waits are none for people, milliseconds. */
const NOTICED_MS = 500;
