/** The in-memory twin: the whole limiter in one process, for users' own tests and for simulations. */
import type { Limiter } from "./limiter.ts";
import { resolveLimits } from "./limits.ts";
import { admit, reconfigure, settle } from "./model/gate.ts";
import type { Gate } from "./model/state.ts";

export interface MemoryLimiterOptions {
  /** The time in ms. Default: the system clock. */
  readonly now?: () => number;
}

/** Decides exactly as the Redis limiter does, for the calls of this process alone. */
export function createMemoryLimiter({ now = Date.now }: MemoryLimiterOptions = {}): Limiter {
  const gates = new Map<string, Gate>();
  const gateOf = (pool: string): Gate => {
    const gate = gates.get(pool);
    if (!gate) throw new RangeError(`Expected pool '${pool}' to be configured, call configure() first`);
    return gate;
  };
  return {
    async configure(pool, limits) {
      const parameters = resolveLimits(limits);
      const gate = gates.get(pool);
      if (gate) reconfigure(gate, parameters);
      else gates.set(pool, { parameters, state: undefined, reservations: new Map(), expiry: new Map() });
    },
    async admit(request) {
      return admit(gateOf(request.pool), request, now());
    },
    async settle(settlement) {
      return settle(gateOf(settlement.pool), settlement, now());
    },
  };
}
