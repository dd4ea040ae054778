/** Tells where the quotas in force are not those of this worker's pools file. */
import { poolLimits, type Pool, type Scope } from "@sluice/config";
import type { Emit } from "@sluice/job";
import { madeBy, quotaOverrides, type OperableLimiter, type QuotaLog } from "@sluice/limits";

export interface OverrideOptions {
  readonly limiter: OperableLimiter;
  readonly log: QuotaLog;
  readonly scope: Scope;
  readonly emit: Emit;
}

/** Emits `quota:overridden` if there is something to tell. Rejects when Redis is away. */
export async function tellOverrides(
  pool: Pool,
  { limiter, log, scope, emit }: OverrideOptions,
): Promise<void> {
  const { quota } = (await limiter.inspect(pool.name)).limits;
  const quotas = quotaOverrides(quota, poolLimits(pool, scope).quota);
  if (quotas.length === 0) return;
  const by = madeBy(await log.entries(pool.name, 1), quota)?.by;
  emit("quota:overridden", { pool: pool.name, quotas, ...(by === undefined ? {} : { by }) });
}
