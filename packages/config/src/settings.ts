/**
 * The limiter's own settings as the pools file names them. Names, ranges and defaults are the limiter's, so that a new
 * setting of its needs no line here. Each is checked by itself; what must hold between them is in `rules.ts`.
 */
import {
  defaults,
  LimitsError,
  resolveLimits,
  type BreakerLimits,
  type CeilingLimits,
  type LaneLimits,
  type PoolLimits,
} from "@sluice/limits";
import { z } from "zod";

/** Limits that are fine, for a single setting to be judged in. */
const ONE_LANE: LaneLimits = { name: "lane", horizonMs: 0, reserveMs: 0, share: 0 };
const FINE: PoolLimits = { quota: {}, lanes: [ONE_LANE] };

const SETTINGS_RULE = "a mapping of settings to numbers";

/** The setting that the limiter refuses, and why; `undefined` when it takes the limits. */
export function refusal(limits: PoolLimits): LimitsError | undefined {
  try {
    resolveLimits(limits);
  } catch (error) {
    if (error instanceof LimitsError) return error;
    throw error;
  }
  return undefined;
}

/** A number that the limiter takes where `limitsWith` puts it. */
function setting(limitsWith: (value: number) => PoolLimits) {
  return z.number("a number").check((context) => {
    const refused = refusal(limitsWith(context.value));
    if (refused === undefined) return;
    context.issues.push({ code: "custom", input: context.value, message: refused.rule });
  });
}

export const paceSchema = setting((pace) => ({ ...FINE, pace }));

/** A group of the limiter's settings, each of which may be left out. */
function groupSchema(group: "ceiling" | "breaker") {
  const shape = Object.fromEntries(
    Object.keys(defaults[group]).map((key) => [
      key,
      setting((value) => ({ ...FINE, [group]: { [key]: value } })).exactOptional(),
    ]),
  );
  return z.strictObject(shape, SETTINGS_RULE);
}

export const ceilingSchema = groupSchema("ceiling").transform((settings): Partial<CeilingLimits> => settings);
export const breakerSchema = groupSchema("breaker").transform((settings): Partial<BreakerLimits> => settings);

const ofLane = (key: Exclude<keyof LaneLimits, "name">) =>
  setting((value) => ({ ...FINE, lanes: [{ ...ONE_LANE, [key]: value }] })).exactOptional();

/** A lane: its name alone, or a mapping of its name and what it has of its own. */
export function laneSchema<Name extends z.ZodType<string>>(name: Name, rule: string) {
  const settings = { horizonMs: ofLane("horizonMs"), reserveMs: ofLane("reserveMs"), share: ofLane("share") };
  return z.preprocess(
    (given) => (typeof given === "string" ? { name: given } : given),
    z.strictObject({ name, ...settings }, rule),
  );
}

/** The keys of a mapping inside a pool, to show for an unknown one. */
export const SETTINGS_KEYS: Readonly<Record<string, readonly string[]>> = {
  lanes: ["name", "horizonMs", "reserveMs", "share"],
  ceiling: Object.keys(defaults.ceiling),
  breaker: Object.keys(defaults.breaker),
};
