/**
 * One quota at Bedrock that two pools count, each by itself: together they would send twice of what it carries, and
 * each would take the other's calls for a stranger's.
 */
import { quotaOf } from "./families.ts";
import type { Finding } from "./problems.ts";
import type { Pool } from "./rules.ts";
import type { Scope } from "./schema.ts";

/** Room for sums of fractions such as three times a third. */
const ROUNDING = 1e-9;

/**
 * A finding for each pool whose quota a pool before it counts already. Pools that divide one quota on purpose, by the
 * same `quota` and `share`s that add up to at most 1, count it once.
 * @param scopes by name; `undefined` for a broken one, whose pools are not judged.
 */
export function countedTwice(
  pools: readonly Pool[],
  scopes: ReadonlyMap<string, Scope | undefined>,
): Finding[] {
  const byQuota = Map.groupBy(pools, (pool) => quotaKey(pool, scopes.get(pool.scope)));
  return [...byQuota].flatMap(([key, sharing]) =>
    key === undefined || dividesOneQuota(sharing)
      ? []
      : sharing.slice(1).map((pool) => finding(pool, sharing)),
  );
}

/** Account, Region and model as Bedrock tells quotas apart. Equal credentials are the same account. */
function quotaKey(pool: Pool, scope: Scope | undefined): string | undefined {
  return scope === undefined ? undefined : JSON.stringify([scope.profile, scope.region, quotaOf(pool.model)]);
}

function dividesOneQuota(pools: readonly Pool[]): boolean {
  const [first] = pools;
  const same = pools.every(
    ({ quota }) =>
      quota.tokensPerMinute === first?.quota.tokensPerMinute &&
      quota.requestsPerMinute === first.quota.requestsPerMinute,
  );
  return same && pools.reduce((sum, { share }) => sum + share, 0) <= 1 + ROUNDING;
}

function finding(pool: Pool, sharing: readonly Pool[]): Finding {
  const others = sharing.filter((other) => other !== pool).map((other) => `\`pools.${other.name}\``);
  const scopes = new Set(sharing.map(({ scope }) => scope));
  const accounts =
    scopes.size === 1
      ? "a scope of its own for another account"
      : "a `profile` for each scope when they are different accounts";
  return {
    path: ["pools", pool.name, "model"],
    message:
      `Expected \`pools.${pool.name}.model\` to be counted once: ${others.join(", ")} ` +
      `${others.length === 1 ? "draws" : "draw"} on the same quota, of \`${quotaOf(pool.model)}\` in one Region with ` +
      `the same credentials. Use one pool with more lanes; or ${accounts}; or divide the quota: ` +
      "the same `quota` in each and `share`s that add up to at most 1",
  };
}
