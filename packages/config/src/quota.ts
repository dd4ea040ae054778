/** What a pool may use of the account, as both those who accept jobs and those who drain them count it. */
import type { Pool } from "./rules.ts";
import type { Scope } from "./schema.ts";

export interface UsableQuota {
  /** As Bedrock states it; what is missing is not limited. */
  readonly quota: {
    readonly tokensPerMinute: number;
    readonly requestsPerMinute?: number;
    /** Of the scope: every pool of it brings the same figure. */
    readonly tokensPerDay?: number;
  };
  /** The fraction of it that is Sluice's. */
  readonly share: number;
}

export function usableQuota(
  { quota, share }: Pool,
  { tokensPerDay }: Pick<Scope, "tokensPerDay">,
): UsableQuota {
  const { tokensPerMinute, requestsPerMinute } = quota;
  return {
    quota: {
      tokensPerMinute,
      ...(requestsPerMinute === null ? {} : { requestsPerMinute }),
      ...(tokensPerDay === null ? {} : { tokensPerDay }),
    },
    share,
  };
}
