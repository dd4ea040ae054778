/**
 * Holds what we say of our jobs against what the other side saw. Pure: everything was read before.
 *
 * **Lost** is a job that was accepted and is nowhere: no outcome, in no lane, no dead letter.
 *
 * A **disagreement** is an accepted job of which at least one of these is true:
 * - *end*: it is in more than one end state, or has ended and still waits in a lane, or is `dead` without a dead
 *   letter, or has one without being dead; it ended otherwise than expected; or its end is not the one that the
 *   simulator's evidence implies: `completed` and `filtered` imply that a call of it ended so, `dead` and `cancelled`
 *   that none was answered. (The answer of an async job is its invocation, not the call that started it.)
 * - *usage*: tokens of its answer are not those of the call that gave it.
 * - *calls*: calls that we say we started for it are not as many as the simulator saw (but for one that was sent again
 *   over another connection, where that may be); it had more calls than
 *   expected, or fewer; more than one of them was answered; or one of them was repeated by the SDK.
 *
 * A call that belongs to no accepted job is a disagreement of its own.
 */
import type { Outcome } from "@sluice/job";
import type { SeenCall, SeenInvocation } from "./evidence.ts";
import type { Found } from "./records.ts";

export interface Expected {
  /** Default: any end, and none. */
  readonly end?: Outcome["outcome"];
  /** Of a dead one, or those it may be. Default: any. */
  readonly errorClass?: string | readonly string[];
  /** Least and most calls. Default: any number. */
  readonly calls?: readonly [least: number, most: number];
  /** Answers beside the one that counts that nobody heard: its worker had died, or the connection. Default 0. */
  readonly unheard?: number;
  /**
   * A kept connection that breaks before a byte of the answer is replaced within the call: the simulator may see one
   * request more than we count calls. Default false.
   */
  readonly resent?: boolean;
}

export interface CheckedJob {
  readonly id: string;
  /** For the reader of problems: what was done to it. */
  readonly about?: string;
  readonly found: Found;
  /** As the simulator saw them, in the order of their ends. */
  readonly calls: readonly SeenCall[];
  /** Of an async job that was started: what became of it. */
  readonly invocation?: SeenInvocation | undefined;
  /** Calls that we say we started. Default: not known. */
  readonly granted?: number;
  readonly expected?: Expected;
}

/** How many jobs ended how; `waiting` for those that have not. */
export type OutcomeCounts = Readonly<Record<Outcome["outcome"] | "waiting", number>>;

export interface Report {
  readonly jobs: number;
  readonly outcomes: OutcomeCounts;
  readonly maxCallsPerJob: number;
  readonly lost: number;
  readonly disagreements: number;
  /** One line for each thing that is wrong. A job with several counts once above. */
  readonly problems: readonly string[];
}

/**
 * @param strays calls that name no accepted job.
 */
export function check(jobs: readonly CheckedJob[], strays: number): Report {
  const outcomes = { completed: 0, filtered: 0, cancelled: 0, dead: 0, waiting: 0 };
  const problems: string[] = [];
  let lost = 0;
  let disagreements = strays;
  if (strays > 0) problems.push(`${strays} calls belong to no accepted job`);
  for (const job of jobs) {
    const name = job.about === undefined ? job.id : `${job.id} (${job.about})`;
    if (isLost(job.found)) {
      lost += 1;
      problems.push(`${name}: lost`);
      continue;
    }
    outcomes[job.found.outcome?.outcome ?? "waiting"] += 1;
    const found = [...endProblems(job), ...usageProblems(job), ...callProblems(job)];
    if (found.length > 0) disagreements += 1;
    problems.push(...found.map((problem) => `${name}: ${problem}`));
  }
  const maxCallsPerJob = Math.max(0, ...jobs.map(({ calls }) => calls.length));
  return { jobs: jobs.length, outcomes, maxCallsPerJob, lost, disagreements, problems };
}

/** Accepted, and nowhere to be found. */
export function isLost({ outcome, lane, polls, letter }: Found): boolean {
  if (outcome !== undefined || letter !== undefined) return false;
  // BullMQ keeps a completed job for a while: without an outcome it is a job that nobody will ever answer. An async
  // job leaves its lane so when it is started; then it is polled.
  return ![lane, polls].some(isHeld);
}

/** Somebody will come back to it: it waits, runs, or is dead and waits for the mover. */
function isHeld(state: Found["lane"]): boolean {
  return state !== undefined && state !== "completed" && state !== "unknown";
}

function endProblems(job: CheckedJob): string[] {
  const { outcome, lane, polls, letter } = job.found;
  const { end, errorClass } = job.expected ?? {};
  const problems: string[] = [];
  const is = outcome?.outcome ?? "waiting";
  if (outcome !== undefined && [lane, polls].some(isHeld)) problems.push(`${is}, and still in its lane`);
  if ((is === "dead") !== (letter === "dead"))
    problems.push(`${is}, and its dead letter is ${letter ?? "none"}`);
  if (end !== undefined && end !== is) problems.push(`${is}, expected ${end}`);
  const failure = outcome?.outcome === "dead" ? outcome.failure.errorClass : undefined;
  const classes = typeof errorClass === "string" ? [errorClass] : errorClass;
  if (classes !== undefined && failure !== undefined && !classes.includes(failure)) {
    problems.push(`dead by ${failure}, expected ${classes.join(" or ")}`);
  }
  const answers = answersOf(job);
  if ((is === "completed" || is === "filtered") && !answers.some((answer) => answer === is)) {
    problems.push(`${is}, and the simulator saw ${answers.join(", ") || "no answer"}`);
  }
  return problems;
}

function usageProblems({ found: { outcome }, calls }: CheckedJob): string[] {
  if (outcome?.outcome !== "completed" && outcome?.outcome !== "filtered") return [];
  // The answer of an async call is in S3, and its tokens are nobody's to count.
  if (outcome.answer.s3Uri !== undefined) return [];
  // What Bedrock did not report is a guess, and says so.
  if (outcome.answer.usageEstimated === true) return [];
  const { inputTokens, outputTokens, cacheReadTokens, cacheWriteTokens } = outcome.answer.usage;
  const ours = `${inputTokens + cacheReadTokens + cacheWriteTokens} in, ${outputTokens} out`;
  const theirs = calls.filter(isAnswer).map((call) => `${call.inputTokens} in, ${call.outputTokens} out`);
  if (theirs.length === 0 || theirs.includes(ours)) return [];
  return [`its answer says ${ours}, the simulator ${theirs.join("; ")}`];
}

function callProblems(job: CheckedJob): string[] {
  const { found, calls, granted, expected = {} } = job;
  const { outcome } = found;
  const { calls: [least, most] = [0, Infinity], unheard = 0, resent = false } = expected;
  const problems: string[] = [];
  // A call that the deadline aborts as it starts may never reach the other side.
  const unseen =
    outcome?.outcome === "dead" && outcome.failure.message.startsWith("The deadline passed") ? 1 : 0;
  const few = (granted ?? 0) - unseen;
  const many = (granted ?? 0) + (resent ? 1 : 0);
  const isCounted = calls.length >= few && calls.length <= many;
  if (granted !== undefined && !isCounted) {
    problems.push(`we started ${granted} calls, the simulator saw ${describe(calls)}`);
  }
  if (calls.length < least || calls.length > most) {
    problems.push(`expected ${least} to ${most} calls, the simulator saw ${describe(calls)}`);
  }
  const answered = outcome?.outcome === "completed" || outcome?.outcome === "filtered";
  if (outcome !== undefined && answersOf(job).length > (answered ? 1 : 0) + unheard) {
    problems.push(`${outcome.outcome}, and was answered more often than it may: ${describe(calls)}`);
  }
  if (calls.some(({ attempt }) => attempt !== null && attempt > 1)) problems.push("the SDK repeated a call");
  return problems;
}

function isAnswer({ operation, outcome }: SeenCall): boolean {
  return operation !== "StartAsyncInvoke" && (outcome === "completed" || outcome === "filtered");
}

function answersOf({ calls, invocation }: CheckedJob): string[] {
  const answers: string[] = calls.filter(isAnswer).map(({ outcome }) => outcome);
  return invocation === "Completed" ? [...answers, "completed"] : answers;
}

function describe(calls: readonly SeenCall[]): string {
  const ends = calls.map(({ outcome, fault }) => (fault === null ? outcome : `${outcome} (${fault})`));
  return `${calls.length}: ${ends.join(", ") || "none"}`;
}
