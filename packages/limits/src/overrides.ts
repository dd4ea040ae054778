/** Quotas in force that are not those of the pools file: an operator has set them, or no worker knows the file yet. */
import type { Quota } from "./limits.ts";

export interface QuotaOverride {
  readonly quota: keyof Quota;
  /** `null`: not limited. */
  readonly inForce: number | null;
  readonly declared: number | null;
  /** More than twice or less than half of what the file says, or limited in one of the two only. */
  readonly far: boolean;
}

const FAR = 2;

const NAMES: readonly (keyof Quota)[] = [
  "requestsPerMinute",
  "tokensPerMinute",
  "inputTokensPerMinute",
  "outputTokensPerMinute",
  "tokensPerDay",
];

/** Every quota that differs. @param declared as the pools file has it. */
export function quotaOverrides(inForce: Quota, declared: Quota): readonly QuotaOverride[] {
  return NAMES.flatMap((quota) => {
    const [now = null, file = null] = [inForce[quota], declared[quota]];
    if (now === file) return [];
    const far = now === null || file === null || now > file * FAR || now < file / FAR;
    return [{ quota, inForce: now, declared: file, far }];
  });
}
