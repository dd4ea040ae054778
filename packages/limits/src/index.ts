export { dimensions, type Cost, type Dimension } from "./cost.ts";
export { fits, misfit } from "./fits.ts";
export type { Admission, AdmitRequest, Limiter, Settlement, SettleOutcome, SettleReply } from "./limiter.ts";
export { defaultLanes, type LaneLimits, type PoolLimits, type Quota } from "./limits.ts";
export { createMemoryLimiter, type MemoryLimiterOptions } from "./memory-limiter.ts";
export { createRedisLimiter, type RedisLimiterOptions } from "./redis-limiter.ts";
