/** News of the limits as events. */
import type { Emit } from "@sluice/job";
import type { LimitsChange } from "@sluice/limits";

/** What a call of this process changed in the limits, as an event. */
export function tellChange(emit: Emit, change: LimitsChange): void {
  switch (change.type) {
    case "breaker": {
      const { pool, from, to, untilMs } = change;
      emit("breaker:changed", { pool, from, to, untilMs });
      break;
    }
    case "day":
      emit("quota:parked", { pool: change.pool, untilMs: change.untilMs, alone: change.alone === true });
      break;
    case "hold":
      emit("pool:held", { pool: change.pool, untilMs: change.untilMs });
      break;
    case "quota-doubtful": {
      const { pool, dimension, doubtful, ceiling, perMinute } = change;
      emit("quota:doubtful", { pool, dimension, doubtful, ceiling, perMinute });
      break;
    }
    case "operation-denied": {
      const { pool, operation, denied, process } = change;
      emit("operation:denied", { pool, operation, denied, ...(process === undefined ? {} : { process }) });
      break;
    }
    case "limits":
      emit("limits:changed", { pool: change.pool, version: change.version });
      break;
    case "operated": {
      const { pool, id, phase, by, from, action } = change;
      emit("operator:acted", { pool, id, phase, by, from, action });
      break;
    }
  }
}
