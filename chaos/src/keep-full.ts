/** A lane that never runs dry: how a saturated lane behaves is seen only while there is always a next job. */
import { setTimeout as sleep } from "node:timers/promises";
import { enqueue, type Order } from "./orders.ts";
import { eachOf, type Records } from "./records.ts";

const LOOK_EVERY_MS = 400;

/**
 * Keeps about `depth` jobs waiting until `signal` says so. Resolves to the ids of all it added.
 * @param order of the job with this number.
 */
export async function keepFull(
  records: Records,
  { pool, lane, depth }: { pool: string; lane: string; depth: number },
  order: (index: number) => Pick<Order, "shape" | "text" | "maxTokens" | "deadlineMs" | "maxAttempts">,
  signal: AbortSignal,
): Promise<string[]> {
  const ids: string[] = [];
  while (!signal.aborted) {
    const { waiting } = await records.lane(pool, lane).counts();
    const missing = Array.from({ length: Math.max(0, depth - waiting) }, (_, index) => ids.length + index);
    ids.push(...(await eachOf(missing, async (index) => enqueue(records, { pool, lane, ...order(index) }))));
    await sleep(LOOK_EVERY_MS, undefined, { signal }).catch(() => undefined);
  }
  return ids;
}
