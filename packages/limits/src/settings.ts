/** What limits say, whichever version of the programs says it. */
import { defaults, lanesNamed, type PoolLimits } from "./limits.ts";

/**
 * The limits without what is a default, their keys in order: as one text. A version that knows one setting more says its
 * default too, and has the same text for the same file.
 */
export function beyondDefaults(limits: PoolLimits): string {
  const usual = lanesNamed(limits.lanes.map(({ name }) => name));
  const lanes = limits.lanes.map((lane, place) => ({
    name: lane.name,
    ...rest(lane, usual[place] ?? {}),
  }));
  return JSON.stringify({ ...rest({ ...limits, lanes: [] }, defaults), lanes });
}

function rest(said: object, usual: object): Record<string, unknown> {
  const left: Record<string, unknown> = {};
  const known = new Map<string, unknown>(Object.entries(usual));
  for (const [name, value] of Object.entries(said).toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    const fallback = known.get(name);
    if (value === undefined || value === fallback) continue;
    if (!isGroup(value)) left[name] = value;
    else {
      const group = rest(value, isGroup(fallback) ? fallback : {});
      if (Object.keys(group).length > 0) left[name] = group;
    }
  }
  return left;
}

function isGroup(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
