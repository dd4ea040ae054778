/** News of state changes from the whole fleet. A hint to wake up or to log by; `admit` tells the truth. */
import type { KeySpace } from "@sluice/redis";
import type { Redis } from "ioredis";
import { newsChannel } from "./keys.ts";
import type { LimitsChange } from "./limiter.ts";
import { decodeNews } from "./replies.ts";

/**
 * Hears of every change in the scope's pools until the returned function is called.
 * @param subscriber a connection of its own; ioredis subscribes it again after an outage.
 */
export async function watchLimits(
  subscriber: Redis,
  keySpace: KeySpace,
  onChange: (change: LimitsChange) => void,
): Promise<() => Promise<void>> {
  const channel = newsChannel(keySpace);
  const hear = (from: string, message: string): void => {
    if (from === channel) decodeNews(message).forEach((change) => onChange(change));
  };
  subscriber.on("message", hear);
  await subscriber.subscribe(channel);
  return async () => {
    subscriber.off("message", hear);
    await subscriber.unsubscribe(channel);
  };
}
