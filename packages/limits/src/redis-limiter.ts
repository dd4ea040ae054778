/** The limiter of a fleet: one Lua call per question, the state in Redis, the clock of the server. */
import type { KeySpace } from "@sluice/redis";
import type { Redis } from "ioredis";
import type { Cost } from "./cost.ts";
import { poolKeys } from "./keys.ts";
import type { Admission, Limiter, SettleReply } from "./limiter.ts";
import { resolveLimits } from "./limits.ts";
import { joinScript } from "./script.ts";

export interface RedisLimiterOptions {
  /** A connection of the `command` profile: answers must come in bounded time. */
  readonly redis: Redis;
  /** The scope's key space; pools of one scope share it. */
  readonly keySpace: KeySpace;
  /** The time in ms, for tests. Default: the clock of the Redis server, so that workers' clocks never matter. */
  readonly now?: () => number;
}

const configureScript = joinScript("state", "configure");
const admitScript = joinScript("state", "quota", "lanes", "admit");
const settleScript = joinScript("state", "quota", "lanes", "settle");

/** Opens nothing and starts nothing; the owner of `redis` ends it. Every method rejects when Redis is away. */
export function createRedisLimiter({ redis, keySpace, now }: RedisLimiterOptions): Limiter {
  const time = (): string | number => now?.() ?? "";
  return {
    async configure(pool, limits) {
      const keys = poolKeys(keySpace, pool);
      const parameters = JSON.stringify(resolveLimits(limits));
      const argv = [time(), JSON.stringify(limits), parameters];
      await configureScript(redis, { keys: [keys.limits, keys.state], argv });
    },
    async admit({ pool, lane, id, cost, ttlMs }) {
      const keys = gateKeys(keySpace, pool);
      const argv = [time(), lane, id, ttlMs, ...pairs(cost)];
      return decodeAdmission(await admitScript(redis, { keys, argv }), pool, lane);
    },
    async settle({ pool, id, outcome, actual }) {
      const keys = gateKeys(keySpace, pool);
      return decodeSettle(await settleScript(redis, { keys, argv: [time(), id, outcome, ...pairs(actual)] }));
    },
  };
}

function gateKeys(space: KeySpace, pool: string): string[] {
  const { limits, state, reservations, expiry } = poolKeys(space, pool);
  return [limits, state, reservations, expiry];
}

function pairs(cost: Cost): (string | number)[] {
  return Object.entries(cost).flat();
}

function decodeAdmission(reply: unknown, pool: string, lane: string): Admission {
  const [type, detail] = Array.isArray(reply) ? (reply as unknown[]) : [];
  if (type === "granted" && typeof detail === "number") return { type, waitMs: detail };
  if (type === "wait" && typeof detail === "number") return { type, afterMs: detail };
  if (type === "unconfigured") {
    throw new RangeError(`Expected pool '${pool}' to be configured, call configure() first`);
  }
  if (type === "unknown-lane") {
    throw new RangeError(`Expected \`lane\` to be one of ${String(detail)}, got '${lane}'`);
  }
  throw new TypeError(`Expected an admission from the admit script, got ${JSON.stringify(reply)}`);
}

function decodeSettle(reply: unknown): SettleReply {
  const [type] = Array.isArray(reply) ? (reply as unknown[]) : [];
  if (type === "settled" || type === "late") return { type };
  throw new TypeError(`Expected a reply from the settle script, got ${JSON.stringify(reply)}`);
}
