/** What every part of a worker is fitted with: its connections, its clocks, the ends of it that all parts share. */
import { describe } from "@sluice/drain";
import type { Emit, Time } from "@sluice/job";
import type { LockKeeper, SweeperTimes, WaitingGrants } from "@sluice/queue";
import type { RedisClock } from "@sluice/redis";
import type { Redis } from "ioredis";

export interface Fittings {
  /** A connection of the `command` profile. */
  readonly commandRedis: Redis;
  /** A connection of the `worker` profile: its commands wait for a Redis that is away. */
  readonly queueRedis: Redis;
  readonly redisClock: RedisClock;
  readonly time: Time;
  readonly locks: LockKeeper;
  readonly waiting: WaitingGrants;
  /** By what a lane's sweeper judges times. */
  readonly sweeperTimes: SweeperTimes;
  /** How often jobs of vanished workers are looked for, milliseconds. */
  readonly stalledIntervalMs: number;
  /** Ends what is under way when the worker leaves. */
  readonly abort: AbortSignal;
  readonly emit: Emit;
  /** A job could not be read, and is in the failed set now. */
  readonly onUnreadable: (id: string) => void;
}

/** Tells what goes wrong in a part. */
export function tellError(emit: Emit, part: string): (error: unknown) => void {
  return (error) => emit("worker:error", { part, error: describe(error) });
}
