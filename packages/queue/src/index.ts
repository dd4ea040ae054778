export { EVENTS_KEPT, POLLS_LANE } from "./keys.ts";
export type { Room } from "./accepted.ts";
export { CapacityGuard, type Capacity, type LaneBounds } from "./capacity.ts";
export { FailedSet, type FailedJob } from "./failed-set.ts";
export { HeldJob, type Deferral, type KeepCompleted } from "./held-job.ts";
export { Intake, type IntakeOptions, type Run, type Take, type Turn } from "./intake.ts";
export {
  LaneQueue,
  type LaneCounts,
  type LaneJob,
  type LaneQueueOptions,
  type LaneState,
} from "./lane-queue.ts";
export { isKnownLane, knownLanes, forgetLane, noteLanes, unended, type LaneName } from "./known-lanes.ts";
export { LaneListing, MOST_LISTED, type ListedJob, type OpenedJob } from "./lane-listing.ts";
export { LockKeeper, type LockKeeperOptions, type LockTimes } from "./lock-keeper.ts";
export type { AnswerSize } from "./memory.ts";
export { Slots, type ReleaseSlot, type SlotShares } from "./slots.ts";
export { Sweeper, type SweeperOptions, type SweeperTimes } from "./sweeper.ts";
export { WAITING_AT_MOST, WaitingGrants, type LaneGrants } from "./waiting-grants.ts";
