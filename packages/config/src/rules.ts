/**
 * What must hold between the keys of a pool, and the defaults that follow from its model. Every rule runs even
 * when other keys are wrong, so that one run reports everything; it rests when a key it reads is wrong itself.
 */
import { misfit, type Cost } from "@sluice/limits";
import { z } from "zod";
import { isOpaqueModel, modelFamily } from "./families.ts";
import { poolLimits, type LimitedPool } from "./limits.ts";
import { poolKeysSchema, type PoolKeys, type Scope } from "./schema.ts";
import { refusal } from "./settings.ts";

/** Used when a pool names no `defaultMaxTokens`, unless the model can write less. */
const DEFAULT_MAX_TOKENS = 1_024;

function tokenBounds(pool: Pick<PoolKeys, "model" | "maxOutputTokens" | "defaultMaxTokens">) {
  const maxOutputTokens = pool.maxOutputTokens ?? modelFamily(pool.model).maxOutputTokens;
  return {
    maxOutputTokens,
    defaultMaxTokens: pool.defaultMaxTokens ?? Math.min(DEFAULT_MAX_TOKENS, maxOutputTokens),
  };
}

const NO_DAY = { tokensPerDay: null };

/** Tokens of the smallest job that relies on `defaultMaxTokens`: no prompt is empty. */
function smallestCost(pool: Parameters<typeof tokenBounds>[0]): number {
  return tokenBounds(pool).defaultMaxTokens + 1;
}

function laneParts(lanes: PoolKeys["lanes"]): Pick<LimitedPool, "lanes" | "laneSettings"> {
  return {
    lanes: lanes.map((lane) => lane.name),
    laneSettings: Object.fromEntries(lanes.map(({ name, ...settings }) => [name, settings])),
  };
}

const withLanes = z.object({ lanes: poolKeysSchema.shape.lanes });

/** What is wrong between the settings of a lane, or of all lanes. Those by themselves have been judged before. */
function laneRefusal({ lanes }: Pick<PoolKeys, "lanes">): string | undefined {
  const parts = { quota: { tokensPerMinute: 1, requestsPerMinute: null }, share: 1, ...laneParts(lanes) };
  const refused = refusal(poolLimits(parts, NO_DAY));
  if (refused === undefined) return undefined;
  const [, lane] = refused.setting.split(".");
  return lane === undefined ? refused.rule : `set so that \`${lane}\` has ${refused.rule}`;
}

function fits({ quota, share, pace }: PoolKeys, day: Pick<Scope, "tokensPerDay">, cost: Cost): boolean {
  return misfit(poolLimits({ quota, share, pace, lanes: [], laneSettings: {} }, day), cost) === undefined;
}

/** The keys a rule reads. The problem is reported at the first of them. */
function about(...keys: [keyof PoolKeys, ...(keyof PoolKeys)[]]) {
  return {
    path: [keys[0]],
    when: ({ issues }: z.core.ParsePayload): boolean =>
      !issues.some(({ code, path }) =>
        path === undefined ? code !== "unrecognized_keys" : keys.some((key) => key === path[0]),
      ),
  };
}

/** A pool with all its rules, and durations under their names with units. */
export function poolSchema(
  self: string,
  scopes: ReadonlyMap<string, Scope | undefined>,
  pools: ReadonlySet<string>,
) {
  return poolKeysSchema
    .refine((pool) => scopes.has(pool.scope), {
      ...about("scope"),
      error: `one of the scopes of this file (${[...scopes.keys()].join(", ") || "there is none"})`,
    })
    .refine((pool) => pool.burndown !== undefined || !isOpaqueModel(pool.model), {
      ...about("burndown", "model"),
      error: "set, because this ARN does not say which model answers",
    })
    .refine((pool) => tokenBounds(pool).defaultMaxTokens <= tokenBounds(pool).maxOutputTokens, {
      ...about("defaultMaxTokens", "maxOutputTokens", "model"),
      error: "no more than `maxOutputTokens` (raise that one when the model can write more)",
    })
    .refine((pool) => fits(pool, NO_DAY, { tokens: smallestCost(pool) }), {
      ...about("defaultMaxTokens", "maxOutputTokens", "model", "quota", "share", "pace"),
      error:
        "less than this `share` of `quota.tokensPerMinute`, since a job that relies on it could never run",
    })
    .refine(
      (pool) => fits(pool, scopes.get(pool.scope) ?? NO_DAY, { "tokens-per-day": smallestCost(pool) }),
      {
        ...about("defaultMaxTokens", "maxOutputTokens", "model", "scope", "quota", "share", "pace"),
        error:
          "less than this `share` of the scope's `tokensPerDay`, since a job that relies on it could never run",
      },
    )
    .refine((pool) => laneRefusal(pool) === undefined, {
      ...about("lanes"),
      error: ({ input }) => laneRefusal(withLanes.parse(input)) ?? "lanes that the limiter takes",
    })
    .refine((pool) => pool.slots >= pool.lanes.length, {
      ...about("slots", "lanes"),
      error: "at least one for each lane",
    })
    .refine((pool) => pool.callTimeout <= pool.deadline, {
      ...about("callTimeout", "deadline"),
      error: "no longer than `deadline`",
    })
    .refine((pool) => pool.fallback.every((other) => pools.has(other) && other !== self), {
      ...about("fallback"),
      error: `a list of other pools of this file (${[...pools].filter((pool) => pool !== self).join(", ") || "there is none"})`,
    })
    .refine(
      (pool) =>
        Object.keys(pool.serviceTiers).every((tiered) => pool.lanes.some((lane) => lane.name === tiered)),
      {
        ...about("serviceTiers", "lanes"),
        error: "a mapping whose keys are lanes of this pool",
      },
    )
    .transform(({ deadline, callTimeout, streamSilence, cache, ...pool }) => ({
      ...pool,
      ...laneParts(pool.lanes),
      ...tokenBounds(pool),
      burndown: pool.burndown ?? modelFamily(pool.model).burndown,
      deadlineMs: deadline,
      callTimeoutMs: callTimeout,
      streamSilenceMs: streamSilence,
      cacheMs: cache,
    }));
}

/** One model or inference profile in a scope, with every default filled in. */
export type Pool = z.output<ReturnType<typeof poolSchema>> & { readonly name: string };
