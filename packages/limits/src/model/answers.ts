/**
 * When the pool last answered, by operation and apart from one's own job: what tells a job's own failure from one of the
 * pool. Twin of `lua/answers.lua`.
 */
import type { Parameters } from "../parameters.ts";
import type { PoolState } from "./state.ts";

/** The last answer of an operation, and the last one of any other job than that one's. */
export interface Answered {
  readonly operation: string;
  readonly job: string;
  readonly at: number;
  /** 0: none is remembered. */
  readonly otherAt: number;
  /** By how much the pool's clock had stepped in all when this was noted, ms. */
  readonly shiftedMs: number;
}

/** The answers by the clock of the pool as it is now. */
export function recalled(answers: readonly Answered[], { shiftedMs = 0 }: PoolState): readonly Answered[] {
  if (answers.every((one) => one.shiftedMs === shiftedMs)) return answers;
  return answers.map((one) => {
    const stepMs = shiftedMs - one.shiftedMs;
    const otherAt = one.otherAt > 0 ? one.otherAt + stepMs : 0;
    return { ...one, at: one.at + stepMs, otherAt, shiftedMs };
  });
}

/** Whether an answer is worth remembering: among hundreds a second not each is. Notes that this one was. */
export function mayNote({ noteEveryMs }: Parameters, state: PoolState, now: number): boolean {
  const sinceMs = now - (state.notedAt ?? 0);
  if (sinceMs >= 0 && sinceMs < noteEveryMs) return false;
  state.notedAt = now;
  return true;
}

/** Remembers an answer; of many operations, those answered last. */
export function noteAnswer(
  answers: readonly Answered[],
  most: number,
  { operation, job, shiftedMs = 0 }: { operation: string; job: string; shiftedMs?: number | undefined },
  now: number,
): Answered[] {
  const known = answers.find((one) => one.operation === operation);
  const otherAt = known === undefined ? 0 : answeredAt(known, job);
  const others = answers.filter((one) => one !== known);
  // The last answered stands at the end.
  const kept = others.length < most ? others : others.slice(1);
  return [...kept, { operation, job, at: now, otherAt, shiftedMs }];
}

/** When the operation last answered another job; 0: not within memory. */
function answeredAt(answered: Answered, job: string): number {
  return answered.job === job ? answered.otherAt : answered.at;
}

/** When the pool last answered another job, and when this operation did; 0: not within memory. */
export function othersAnsweredAt(
  answers: readonly Answered[],
  { operation, job }: { operation: string; job: string },
): { pool: number; operation: number } {
  const found = { pool: 0, operation: 0 };
  for (const one of answers) {
    const at = answeredAt(one, job);
    found.pool = Math.max(found.pool, at);
    if (one.operation === operation) found.operation = at;
  }
  return found;
}

/** When the pool last answered a call of any other operation; 0: not within memory. */
export function elsewhereAnsweredAt(answers: readonly Answered[], operation: string): number {
  return answers.reduce((last, one) => (one.operation === operation ? last : Math.max(last, one.at)), 0);
}
