/** An operator moves the breaker or the day by hand. Twin of `lua/operate.lua`. */
import type { LimitsChange } from "../limiter.ts";
import type { OperatorAction } from "../operator.ts";
import { close, isolate, open, release } from "./breaker.ts";
import { unpark } from "./day.ts";
import { afterBreaker, type Gate } from "./gate.ts";
import { advance } from "./quota.ts";

export function operate(gate: Gate, action: OperatorAction, time: number): LimitsChange[] {
  const { parameters, state, pool } = gate;
  const now = advance(parameters, state, time);
  const before = state.breaker;
  const changes: LimitsChange[] = [];
  switch (action.type) {
    case "open":
      open(parameters.breaker, state, action.forMs, true);
      break;
    case "close":
      close(state);
      release(state);
      break;
    case "isolate":
      isolate(state, 0);
      break;
    case "release-day":
      unpark(gate.day);
      changes.push({ type: "day", pool, untilMs: 0 });
      break;
  }
  return [...changes, ...(afterBreaker(gate, before, now).changes ?? [])];
}
