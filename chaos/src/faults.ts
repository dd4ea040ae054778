/** Scripts the simulator's faults while it runs. `docs/simulator.md` has the words. */
import { z } from "zod";

/** A rule as the simulator takes it; the conditions that scenarios need. */
export interface FaultRule {
  readonly model: string;
  /** In one word, or as an object with figures of its own. */
  readonly fault: string | object;
  /** Begins so long after now, milliseconds. Default 0. */
  readonly afterMs?: number;
  /** Default: until it is taken back. */
  readonly forMs?: number;
  /** Strikes with this probability. Default 1. */
  readonly rate?: number;
}

const addedSchema = z.object({ ids: z.array(z.int()) });

/** Resolves to the rules' ids once they are in force. @throws Error with the simulator's own words. */
export async function addFaults(simulatorUrl: string, rules: readonly FaultRule[]): Promise<number[]> {
  const body = JSON.stringify(rules);
  const response = await fetch(`${simulatorUrl}/_sim/faults`, { method: "POST", body });
  if (!response.ok) throw new Error(`The simulator refused a rule: ${await response.text()}`);
  return addedSchema.parse(await response.json()).ids;
}
