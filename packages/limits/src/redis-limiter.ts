/** The limiter of a fleet: one Lua call per question, the state in Redis, the clock of the server. */
import type { KeySpace } from "@sluice/redis";
import type { Redis } from "ioredis";
import { assertAmounts } from "./cost.ts";
import { explanation, inspection, type Snapshot } from "./inspection.ts";
import { newsChannel, poolKeys } from "./keys.ts";
import type { PoolLimits } from "./limits.ts";
import { withQuota, type OperableLimiter } from "./operator.ts";
import { resolveLimits, storedParameters } from "./parameters.ts";
import {
  assertOurs,
  decodeAdmission,
  decodeConfigured,
  decodeNews,
  decodeOutdated,
  decodeSettle,
  decodeSnapshot,
  isUnconfigured,
  isUnknownLane,
} from "./replies.ts";
import { joinScript } from "./script.ts";
import { beyondDefaults } from "./settings.ts";
import { unpublished } from "./unpublished.ts";

export interface RedisLimiterOptions {
  /** A connection of the `command` profile: answers must come in bounded time. */
  readonly redis: Redis;
  /** The scope's key space; pools of one scope share it. */
  readonly keySpace: KeySpace;
  /** The time in ms, for tests. Default: the clock of the Redis server, so that workers' clocks never matter. */
  readonly now?: () => number;
}

/**
 * What a pool keeps is bounded by its calls in flight, and a job that cannot be admitted or settled cannot end, so that a
 * full Redis would never have room again.
 */
const WHEN_FULL = { whenFull: true } as const;

const configureScript = joinScript(["state", "declarations", "configure"], WHEN_FULL);
const level = ["state", "ceiling", "throttles", "quota"];
const admitScript = joinScript(
  [
    ...level,
    "lanes",
    "starts",
    "probes",
    "askers",
    "breaker",
    "denied-processes",
    "door",
    "day",
    "holds",
    "decide",
    "admit",
  ],
  WHEN_FULL,
);
const settleScript = joinScript(
  [
    ...level,
    "lanes",
    "starts",
    "probes",
    "askers",
    "breaker",
    "answers",
    "evidence",
    "denied",
    "denied-processes",
    "day",
    "holds",
    "settle",
  ],
  WHEN_FULL,
);
const operateScript = joinScript(
  [...level, "starts", "probes", "askers", "breaker", "day", "operate"],
  WHEN_FULL,
);
const inspectScript = joinScript([...level, "day", "inspect"]);

/** What a process has declared of a pool. */
interface Declared {
  readonly limits: PoolLimits;
  /** Its place among all that were ever declared, as Redis told it; '' when that did not say. */
  readonly order: string;
}

/** A change by an operator is tried again so often when another one came between its read and its write. */
const CHANGE_TRIES = 5;

/** Opens nothing and starts nothing; the owner of `redis` ends it. Every method rejects when Redis is away. */
export function createRedisLimiter({ redis, keySpace, now }: RedisLimiterOptions): OperableLimiter {
  const channel = newsChannel(keySpace);
  const time = (): string | number => now?.() ?? "";
  /** What this process has declared, to be declared again when Redis has lost it. */
  const declared = new Map<string, Declared>();

  const write = async (pool: string, mode: "declare" | "change", limits: PoolLimits, rest: string[]) => {
    const keys = poolKeys(keySpace, pool);
    const parameters = JSON.stringify(storedParameters(resolveLimits(limits)));
    const argv = [time(), channel, pool, mode, JSON.stringify(limits), parameters, ...rest];
    return decodeConfigured(
      await configureScript(redis, { keys: [keys.limits, keys.state, keys.formerOutcomes], argv }),
    );
  };

  /** @param lost what is known of a loss of Redis: see `configure.lua`. */
  const declare = async (pool: string, limits: PoolLimits, lost: "" | "1" | "lost" = ""): Promise<void> => {
    const last = declared.get(pool);
    const said = last === undefined ? "" : JSON.stringify(last.limits);
    const known = said === JSON.stringify(limits) ? last?.order : undefined;
    const { order } = await write(pool, "declare", limits, [lost, said, beyondDefaults(limits), known ?? ""]);
    declared.set(pool, { limits, order: order || (known ?? "") });
  };

  /**
   * Asks. When a program of another version wrote the pool's parameters, makes them anew from the limits in force; when
   * Redis has lost the pool, declares it anew, as one whose calls in flight nobody knows.
   */
  const ask = async (pool: string, run: () => Promise<unknown>): Promise<unknown> => {
    const first = await run();
    assertOurs(pool, first);
    const outdated = decodeOutdated(first);
    if (outdated) await write(pool, "change", outdated.limits, ["", outdated.version]);
    const reply = outdated ? await run() : first;
    if (!isUnconfigured(reply)) return reply;
    const last = declared.get(pool);
    if (!last) throw unpublished(pool);
    await declare(pool, last.limits, "1");
    return run();
  };

  const snapshot = async (pool: string): Promise<Snapshot> => {
    const { limits, state, reservations, day } = poolKeys(keySpace, pool);
    const call = { keys: [limits, state, reservations, day], argv: [time()] };
    return decodeSnapshot(pool, await ask(pool, async () => inspectScript(redis, call)));
  };

  return {
    async configure(pool, limits) {
      await declare(pool, limits);
    },
    async admit({ pool, lane, id, job, cost, ttlMs, process = "", operation = "" }) {
      assertAmounts({ ...cost, ttlMs });
      const keys = gateKeys(keySpace, pool);
      const caller = [id, job, ttlMs, process, operation];
      const argv = [time(), channel, pool, lane, ...caller, ...Object.entries(cost).flat()];
      const first = await ask(pool, async () => admitScript(redis, { keys, argv }));
      const last = declared.get(pool);
      if (!isUnknownLane(first) || !last || !hasLane(last.limits, lane)) return decodeAdmission(first, lane);
      // Whoever has another pools file, and does not know that there are several, has put his in force.
      await declare(pool, last.limits);
      return decodeAdmission(await admitScript(redis, { keys, argv }), lane);
    },
    async settle({
      pool,
      id,
      outcome,
      actual,
      throttledDimension = "",
      weight = 1,
      operation = "",
      holdMs = 0,
      retry = false,
    }) {
      assertAmounts({ ...actual, weight, holdMs });
      const keys = gateKeys(keySpace, pool);
      const end = [outcome, throttledDimension, weight, operation, retry ? "1" : "", holdMs];
      const argv = [time(), channel, pool, id, ...end];
      const call = { keys, argv: [...argv, ...Object.entries(actual).flat()] };
      return decodeSettle(await ask(pool, async () => settleScript(redis, call)));
    },
    async setQuota(pool, change) {
      for (let tries = 0; tries < CHANGE_TRIES; tries++) {
        // oxlint-disable-next-line no-await-in-loop -- each try needs what the one before it found
        const { limits, version } = await snapshot(pool);
        const changed = withQuota(limits, change);
        // oxlint-disable-next-line no-await-in-loop -- as above
        const next = await write(pool, "change", changed, ["", String(version)]);
        if (next.version > 0) return next.version;
      }
      throw new Error(`The limits of pool '${pool}' keep changing under this change; try again`);
    },
    async restore(pool, limits) {
      await declare(pool, limits, "lost");
    },
    async operate(pool, action) {
      const { limits, state, starts, day } = poolKeys(keySpace, pool);
      const forMs = action.type === "open" ? action.forMs : 0;
      const call = {
        keys: [limits, state, starts, day],
        argv: [time(), channel, pool, action.type, forMs],
      };
      return decodeNews(await ask(pool, async () => operateScript(redis, call)));
    },
    async inspect(pool) {
      return inspection(await snapshot(pool));
    },
    async explain(pool, lane, cost) {
      return explanation(await snapshot(pool), lane, cost);
    },
  };
}

function hasLane(limits: PoolLimits, name: string): boolean {
  return resolveLimits(limits).lanes.some((lane) => lane.name === name);
}

function gateKeys(space: KeySpace, pool: string): string[] {
  const { limits, state, reservations, expiry, starts, day } = poolKeys(space, pool);
  return [limits, state, reservations, expiry, starts, day];
}
