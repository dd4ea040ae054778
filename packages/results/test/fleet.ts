/** Processes as the call ledger sees them: each with a connection and a heartbeat of its own. */
import { setTimeout as sleep } from "node:timers/promises";
import type { KeySpace } from "@sluice/redis";
import type { Redis } from "ioredis";
import { inject, onTestFinished } from "vitest";
import { testRedis } from "../../redis/test/redis.ts";
import { CallLedger, Heartbeat, OutcomeStore, type Begin, type Permission } from "../src/index.ts";

export interface Times {
  readonly ttlMs?: number;
  readonly graceMs?: number;
}

export interface Member {
  readonly owner: string;
  readonly redis: Redis;
  readonly heartbeat: Heartbeat;
  readonly ledger: CallLedger;
  readonly outcomes: OutcomeStore;
  /** As SIGKILL does: it falls silent, and says nothing about it. */
  crash(): Promise<void>;
}

/** A process that beats. By default nobody waits out a grace, since nothing has been down. */
export async function member(
  keySpace: KeySpace,
  { ttlMs = 30_000, graceMs = 0 }: Times = {},
  url: string = inject("redisUrl"),
): Promise<Member> {
  const redis = testRedis("command", url);
  const heartbeat = new Heartbeat({ redis, keySpace, ttlMs, onError: () => {} });
  await heartbeat.start();
  const crash = async (): Promise<void> => {
    redis.disconnect();
    await heartbeat.stop();
  };
  onTestFinished(crash);
  return {
    owner: heartbeat.owner,
    redis,
    heartbeat,
    ledger: new CallLedger({ redis, keySpace, graceMs }),
    outcomes: new OutcomeStore(redis, keySpace),
    crash,
  };
}

/** As the drain does: a store that does not answer is asked again. */
export async function insist<T>(operation: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await operation();
    } catch {
      await sleep(50);
    }
  }
}

/** Asks every 20 ms until the answer is not busy. */
export async function untilFree(
  { ledger, owner }: Member,
  call: Omit<Begin, "owner">,
): Promise<{ busy: number; answer: Permission }> {
  for (let busy = 0; ; busy += 1) {
    const answer = await insist(async () => ledger.begin({ ...call, owner }));
    if (answer.type !== "busy") return { busy, answer };
    await sleep(20);
  }
}
