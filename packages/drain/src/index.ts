export { answerBytes, learnedAnswerBytes } from "./answer-size.ts";
export {
  createAccept,
  type Acceptance,
  type AcceptingPool,
  type AcceptOptions,
  type LaneCapacity,
  type Refusal,
  type RefusalCode,
} from "./accept.ts";
export { requestProblem, type RequestBounds, type RequestRefusal } from "./request-problem.ts";
export { createCancel, type Cancelling, type CancellingPool, type CancelOptions } from "./cancel.ts";
export type { DrainOptions, Turn } from "./candidate.ts";
export { Drain } from "./drain.ts";
export {
  createExplain,
  type ExplainingPool,
  type ExplainOptions,
  type JobExplanation,
  type WorkersIdentity,
} from "./explain.ts";
export {
  createFind,
  lifeId,
  type FindOptions,
  type JobView,
  type ReadingLane,
  type ReadingPool,
  type ReadLetter,
} from "./find.ts";
export { laneOrPolls, type FormerLife, type LifeRecords } from "./former-life.ts";
export {
  anyReady,
  createProcessGuard,
  type Heard,
  type KeptOut,
  type ProcessGuard,
  type ProcessGuardOptions,
  type Told,
} from "./process-guard.ts";
export { HungCalls, type HungCallsOptions, type LendingSlots } from "./hung-calls.ts";
export { describe } from "./describe.ts";
export { insist } from "./insist.ts";
export { laneOfRank } from "./lane-of-rank.ts";
export { LeftCalls, type LeftCallsOptions, type LeftJob } from "./left-calls.ts";
export { Mover, type Dead, type DeadLetters, type MoverOptions, type Outbox } from "./mover.ts";
export { POLL_GRACE_MS, pollDelayMs, Poller, type PollerOptions, type PollResult } from "./poll.ts";
export type * from "./ports.ts";
export { countsAgainst, mayBePaid, nextStep, type NextStep, type Try } from "./retry.ts";
export {
  Reconciler,
  type ReconciledLane,
  type ReconciledLetters,
  type ReconcilerOptions,
  type Replaying,
} from "./reconcile.ts";
export {
  distinct,
  REPLAY_DEFAULTS,
  Replayer,
  type ClaimRefusal,
  type LetterRef,
  type ReplayLetters,
  type ReplayOptions,
  type ReplayPool,
  type ReplayResult,
  type ReplayRun,
} from "./replay.ts";
export { spell } from "./spell.ts";
export type { GateAnswer, LaneWait, OpenCall } from "./why.ts";
