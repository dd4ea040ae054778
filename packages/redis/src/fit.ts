/** Whether a Redis server may hold jobs at all. */
import type { Redis } from "ioredis";

/**
 * Checks what would lose jobs silently: a server that evicts keys when its memory is full.
 * @throws Error saying what to change.
 */
export async function assertFit(redis: Redis): Promise<void> {
  const memory = await redis.info("memory");
  const policy = /^maxmemory_policy:(\S+)/m.exec(memory)?.[1];
  if (policy !== undefined && policy !== "noeviction") {
    throw new Error(
      `This Redis evicts keys when it is full (maxmemory-policy ${policy}), so accepted jobs could vanish. ` +
        `Set maxmemory-policy to noeviction, and give Sluice a Redis of its own`,
    );
  }
}
