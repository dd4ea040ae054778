export { isOpaqueModel, modelFamily, type ModelFamily } from "./families.ts";
export { poolLimits, type LimitedPool } from "./limits.ts";
export { parsePools, readPools, type Pools } from "./pools.ts";
export { PoolsFileError, type Problem } from "./problems.ts";
export type { Pool } from "./rules.ts";
export type { Scope } from "./schema.ts";
