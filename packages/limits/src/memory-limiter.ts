/** The in-memory twin: the whole limiter in one process, for users' own tests and for simulations. */
import { assertAmounts } from "./cost.ts";
import { explanation, inspection, type Snapshot } from "./inspection.ts";
import type { LimitsChange } from "./limiter.ts";
import type { PoolLimits } from "./limits.ts";
import { advanceDay, dayClosedMs, freshDay } from "./model/day.ts";
import { admit, settle, type Gate } from "./model/gate.ts";
import { operate } from "./model/operate.ts";
import { advance } from "./model/quota.ts";
import { adoptLimits, beginCarefully, freshState, learningState, type DayState } from "./model/state.ts";
import { withQuota, type OperableLimiter } from "./operator.ts";
import { resolveLimits } from "./parameters.ts";
import { unpublished } from "./unpublished.ts";

export interface MemoryLimiterOptions {
  /** The time in ms. Default: the system clock. */
  readonly now?: () => number;
  /** Hears every state change, as all processes do of a Redis limiter. */
  readonly onChange?: (change: LimitsChange) => void;
}

/** The twin, and what a test may do to it. */
export interface MemoryLimiter extends OperableLimiter {
  /** Loses all state and reservations, as a Redis that starts empty does; limits are declared again. */
  lose(): void;
}

interface Pool {
  gate: Gate;
  limits: PoolLimits;
  declared: string;
  version: number;
}

/** Decides exactly as the Redis limiter does, for the calls of this process alone; all pools are of one scope. */
export function createMemoryLimiter(options: MemoryLimiterOptions = {}): MemoryLimiter {
  const { now = Date.now, onChange = () => undefined } = options;
  const pools = new Map<string, Pool>();
  let day = freshDay();

  const poolOf = (name: string): Pool => {
    const pool = pools.get(name);
    if (!pool) throw unpublished(name);
    return pool;
  };
  const tell = (changes: readonly LimitsChange[] = []): void => changes.forEach((change) => onChange(change));
  const adopt = (name: string, pool: Pool, limits: PoolLimits): number => {
    pool.gate.parameters = resolveLimits(limits);
    pool.limits = limits;
    pool.version += 1;
    adoptLimits(pool.gate.parameters, pool.gate.state);
    tell([{ type: "limits", pool: name, version: pool.version }]);
    return pool.version;
  };
  const snapshot = (name: string): Snapshot => {
    const { gate, limits, version } = poolOf(name);
    const state = structuredClone(gate.state);
    const today: DayState = { ...day };
    const at = advance(gate.parameters, state, now());
    advanceDay(gate.parameters, today, at);
    dayClosedMs(gate.parameters.day, today, { pool: name, cost: {} }, at);
    const { parameters, reservations } = gate;
    return { pool: name, version, limits, parameters, state, day: today, reservations: reservations.size };
  };

  const limiter: MemoryLimiter = {
    async configure(name, limits) {
      const declared = JSON.stringify(limits);
      const pool = pools.get(name);
      if (pool?.declared === declared) return;
      if (pool) {
        adopt(name, pool, limits);
        pool.declared = declared;
        return;
      }
      const parameters = resolveLimits(limits);
      const gate = newGate(name, parameters, freshState(parameters, now()), day);
      pools.set(name, { gate, limits, declared, version: 1 });
      tell([{ type: "limits", pool: name, version: 1 }]);
    },
    async admit(request) {
      assertAmounts({ ...request.cost, ttlMs: request.ttlMs });
      const admission = admit(poolOf(request.pool).gate, request, now());
      tell(admission.changes);
      return admission;
    },
    async settle(settlement) {
      const { weight, holdMs } = settlement;
      assertAmounts({ ...settlement.actual, weight, holdMs });
      const reply = settle(poolOf(settlement.pool).gate, settlement, now());
      if (reply.type === "settled") tell(reply.changes);
      return reply;
    },
    async setQuota(name, change) {
      const pool = poolOf(name);
      return adopt(name, pool, withQuota(pool.limits, change));
    },
    async restore(name, limits) {
      await limiter.configure(name, limits);
      const { gate } = poolOf(name);
      beginCarefully(gate.parameters, gate.state, now());
    },
    async operate(name, action) {
      const changes = operate(poolOf(name).gate, action, now());
      tell(changes);
      return changes;
    },
    async inspect(name) {
      return inspection(snapshot(name));
    },
    async explain(name, lane, cost) {
      return explanation(snapshot(name), lane, cost);
    },
    lose() {
      day = freshDay();
      for (const [name, pool] of pools) {
        const { parameters } = pool.gate;
        pool.gate = newGate(name, parameters, learningState(parameters, now()), day);
      }
    },
  };
  return limiter;
}

function newGate(pool: string, parameters: Gate["parameters"], state: Gate["state"], day: DayState): Gate {
  return {
    pool,
    parameters,
    state,
    day,
    starts: new Map(),
    answers: [],
    reservations: new Map(),
    nextExpiry: Infinity,
  };
}
