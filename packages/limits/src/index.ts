export { dimensions, type Cost, type Dimension, type RateDimension } from "./cost.ts";
export { fits, misfit } from "./fits.ts";
export { guardLimiter, type GuardOptions } from "./guard.ts";
export { isIdle } from "./idle.ts";
export { poolKeys, type PoolKeys } from "./keys.ts";
export type {
  DeniedInspection,
  DimensionInspection,
  Explanation,
  Inspection,
  LaneInspection,
} from "./inspection.ts";
export { laneBound, type LaneBound } from "./lane-bound.ts";
export type {
  Admission,
  AdmitRequest,
  BreakerPhase,
  Closure,
  Limiter,
  LimitsChange,
  SettleOutcome,
  SettleReply,
  Settlement,
} from "./limiter.ts";
export {
  defaultLanes,
  defaults,
  lanesNamed,
  REDECLARE_MS,
  type BreakerLimits,
  type CeilingLimits,
  type DayLimits,
  type LaneLimits,
  type LimitsDefaults,
  type PoolLimits,
  type Quota,
  type RetryLimits,
} from "./limits.ts";
export { createMemoryLimiter, type MemoryLimiter, type MemoryLimiterOptions } from "./memory-limiter.ts";
export type { LimitsOperator, OperableLimiter, OperatorAction, QuotaChange } from "./operator.ts";
export { createOperations, latest, type Operation, type Operations } from "./operations.ts";
export { quotaOverrides, type QuotaOverride } from "./overrides.ts";
export { createQuotaLog, madeBy, type QuotaEntry, type QuotaLog } from "./quota-log.ts";
export { LimitsError, resolveLimits } from "./parameters.ts";
export { createRedisLimiter, type RedisLimiterOptions } from "./redis-limiter.ts";
export { slowed, type Ceiling, type Slowed } from "./slowed.ts";
export { watchLimits } from "./watch.ts";
