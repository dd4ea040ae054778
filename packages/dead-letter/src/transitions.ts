/**
 * What may happen to a dead letter, as pure decisions: a letter and a command in, the next letter or the reason
 * against it out. Both stores run exactly these, so they cannot disagree on a rule.
 * The states are drawn in docs/dead-letters.md.
 */
import { replayId } from "@sluice/job";
import {
  HISTORY_LIMIT,
  recordId,
  type Death,
  type DeadLetterState,
  type HistoryEntry,
  type Letter,
} from "./record.ts";

/**
 * Why a change was not made. `changed`: the record is no longer the one the caller saw; look again. `unreadable`: the
 * job's data is not what was written, and nobody can run it.
 */
export type Refusal = "not-found" | "state" | "changed" | "unreadable";

/** A decision. `revision` is filled in by the store when it writes. */
export type Decision<Changed = Letter> =
  | { readonly decision: "change"; readonly letter: Changed }
  /** It is so already, by the very same cause: a repeated command, not a conflict. */
  | { readonly decision: "keep" }
  | { readonly decision: "refuse"; readonly reason: Refusal };

const KEEP = { decision: "keep" } as const;

function refuse(reason: Refusal): { decision: "refuse"; reason: Refusal } {
  return { decision: "refuse", reason };
}

/** Drops what belongs to one state only, so that the next state starts clean. */
function stateless(letter: Letter) {
  if (letter.state === "replaying") {
    const { state: _, claim: __, ...rest } = letter;
    return rest;
  }
  if (letter.state === "resolved") {
    const { state: _, expiresAt: __, ...rest } = letter;
    return rest;
  }
  const { state: _, ...rest } = letter;
  return rest;
}

/** Adds an entry. Beyond the limit the second oldest goes: how a job first died stays readable for ever. */
export function appended(history: readonly HistoryEntry[], entry: HistoryEntry): HistoryEntry[] {
  const [first, ...rest] = [...history, entry];
  return first === undefined ? [] : [first, ...rest.slice(-(HISTORY_LIMIT - 1))];
}

function isSameDeath(entry: HistoryEntry, death: Death): boolean {
  return entry.event === "died" && entry.jobId === death.data.id && entry.at === death.diedAt;
}

/**
 * A job died. Repeating a death changes nothing. A death of an earlier life while a replay runs (a job that Redis
 * resurrected) is counted and told, and takes nothing from the replay: neither its claim nor its data.
 */
export function die(letter: Letter | undefined, death: Death, now: number): Decision {
  const { data, attempts, stalls, diedAt } = death;
  // A message may have been cut through a surrogate pair, and not every store takes half of one.
  const failure = { ...death.failure, message: death.failure.message.toWellFormed() };
  const entry: HistoryEntry = {
    event: "died",
    at: diedAt,
    jobId: data.id,
    errorClass: failure.errorClass,
    message: failure.message,
  };
  if (letter === undefined) {
    const { tenant, pool, lane, kind, acceptedAt } = data;
    const id = recordId(data.id);
    const origin = { id, tenant, pool, lane, kind, acceptedAt };
    const last = { failure, attempts, stalls, jobId: data.id, diedAt, firstDiedAt: diedAt };
    const counters = { deaths: 1, replays: 0, updatedAt: now, history: [entry], revision: "" };
    return { decision: "change", letter: { ...origin, ...last, ...counters, state: "dead" } };
  }
  if (letter.history.some((earlier) => isSameDeath(earlier, death))) return KEEP;
  const told = {
    deaths: letter.deaths + 1,
    updatedAt: now,
    history: appended(letter.history, entry),
  };
  if (isStray(letter, death)) return { decision: "change", letter: { ...letter, ...told } };
  const { preview: _, ...rest } = stateless(letter);
  const last = { failure, attempts, stalls, jobId: data.id, diedAt };
  return { decision: "change", letter: { ...rest, ...told, ...last, state: "dead" } };
}

/** Whether a death belongs to a life other than the replay that is running. */
export function isStray(letter: Letter | undefined, death: Death): boolean {
  return letter?.state === "replaying" && letter.claim.jobId !== death.data.id;
}

/** A claim for a replay. `replays` is the number the caller saw: a stale page must not start another life. */
export interface ClaimCommand {
  readonly by: string;
  readonly replays: number;
  readonly leaseMs: number;
}

/**
 * Claims a replay, or takes over one whose lease ran out: under the same job id, so that putting it in the lane
 * again does nothing if it is there already.
 */
export function claim(
  letter: Letter,
  command: ClaimCommand,
  now: number,
): Decision<Letter & { state: "replaying" }> {
  const { by, replays, leaseMs } = command;
  if (letter.state === "resolved") return refuse("state");
  if (letter.replays !== replays) return refuse("changed");
  const leaseUntil = now + leaseMs;
  if (letter.state === "replaying") {
    if (letter.claim.leaseUntil > now) return refuse("state");
    return {
      decision: "change",
      letter: { ...letter, updatedAt: now, claim: { ...letter.claim, by, leaseUntil } },
    };
  }
  const jobId = replayId(letter.id, replays + 1);
  return {
    decision: "change",
    letter: {
      ...stateless(letter),
      replays: replays + 1,
      updatedAt: now,
      history: appended(letter.history, { event: "claimed", at: now, by, jobId }),
      state: "replaying",
      claim: { jobId, by, at: now, leaseUntil },
    },
  };
}

/**
 * Ends a claim without a replay: it could not be put into its lane, or was lost there. The letter is dead again, with
 * the reason in its history, and the number of the replay stays used. Refused to all but its owner while the lease lasts.
 */
export function release(
  letter: Letter,
  { jobId, by, note }: { readonly jobId: string; readonly by: string; readonly note: string },
  now: number,
): Decision {
  if (letter.state !== "replaying") return refuse("state");
  if (letter.claim.jobId !== jobId) return refuse("changed");
  if (letter.claim.leaseUntil > now && letter.claim.by !== by) return refuse("state");
  // An entry of a kind that is known for long: processes of the version before read this letter too.
  const history = appended(letter.history, { event: "noted", at: now, by, note });
  return { decision: "change", letter: { ...stateless(letter), updatedAt: now, history, state: "dead" } };
}

/**
 * A life of the job was answered: the running replay, a job that completed although it had been moved here, or a replay
 * that ran after all although its claim had been given up.
 */
export function resolve(letter: Letter, jobId: string, now: number, retentionMs: number): Decision {
  switch (letter.state) {
    case "resolved":
      return letter.history.some((entry) => entry.event === "resolved" && entry.jobId === jobId)
        ? KEEP
        : refuse("state");
    case "replaying":
      if (letter.claim.jobId !== jobId) return refuse("changed");
      break;
    case "dead":
    case "parked":
      if (letter.jobId !== jobId && replayId(letter.id, letter.replays) !== jobId) return refuse("changed");
      break;
  }
  return {
    decision: "change",
    letter: {
      ...stateless(letter),
      updatedAt: now,
      history: appended(letter.history, { event: "resolved", at: now, jobId }),
      state: "resolved",
      expiresAt: now + retentionMs,
    },
  };
}

/** Sets a dead letter aside, with a reason. */
export function park(letter: Letter, by: string, note: string | undefined, now: number): Decision {
  if (letter.state === "parked") return KEEP;
  if (letter.state !== "dead") return refuse("state");
  const entry: HistoryEntry = { event: "parked", at: now, by, ...(note === undefined ? {} : { note }) };
  return moved(letter, "parked", entry);
}

/** Brings a parked letter back among the dead. */
export function unpark(letter: Letter, by: string, now: number): Decision {
  if (letter.state === "dead") return KEEP;
  if (letter.state !== "parked") return refuse("state");
  return moved(letter, "dead", { event: "unparked", at: now, by });
}

function moved(letter: Letter, state: "dead" | "parked", entry: HistoryEntry): Decision {
  const history = appended(letter.history, entry);
  return { decision: "change", letter: { ...stateless(letter), updatedAt: entry.at, history, state } };
}

/** Writes a line into the history, in any state. */
export function annotate(letter: Letter, by: string, note: string, now: number): Decision {
  const history = appended(letter.history, { event: "noted", at: now, by, note });
  return { decision: "change", letter: { ...letter, updatedAt: now, history } };
}

/** The data is about to be replaced. Refused unless the caller saw this very revision, and while a replay runs. */
export function edit(letter: Letter, by: string, revision: string, now: number): Decision {
  const refused = refusalToTouch(letter, revision, ["dead", "parked"]);
  if (refused !== undefined) return refuse(refused);
  const history = appended(letter.history, { event: "edited", at: now, by });
  const { preview: _, ...rest } = letter;
  return { decision: "change", letter: { ...rest, updatedAt: now, history } };
}

/** Whether the record may be deleted for good: any but one whose replay still runs. */
export function purge(letter: Letter, revision: string): Decision {
  const refused = refusalToTouch(letter, revision, ["dead", "parked", "resolved"]);
  return refused === undefined ? { decision: "change", letter } : refuse(refused);
}

function refusalToTouch(
  letter: Letter,
  revision: string,
  states: readonly DeadLetterState[],
): Refusal | undefined {
  if (!states.includes(letter.state)) return "state";
  return letter.revision === revision ? undefined : "changed";
}
