/** Jobs and letters as attacks need them. */
import { newJobId, type JobData, type JobKind } from "@sluice/job";
import { encodePayload } from "@sluice/job/payload";
import { LANE, POOL } from "./pools.ts";

/** What an attack says of a job; the rest is as it usually is. */
export interface Dead {
  readonly request?: object;
  readonly kind?: JobKind;
  readonly errorClass?: string;
  readonly message?: string;
  readonly tenant?: string;
  readonly lane?: string;
}

/** The data of a job, as an API would store it. */
export async function newJob({
  request,
  kind = "converse",
  tenant = "default",
  lane = LANE,
}: Dead): Promise<JobData> {
  const now = Date.now();
  const usual = { messages: [{ role: "user", content: [{ text: "Dead" }] }], maxTokens: 10 };
  const payload = await encodePayload(request ?? usual);
  const times = { acceptedAt: now, deadlineAt: now + 600_000, maxAttempts: 3 };
  return { version: 1, id: newJobId(POOL, lane, now), tenant, pool: POOL, lane, kind, payload, ...times };
}
