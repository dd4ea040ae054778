/**
 * What must hold between the keys of a pool, and the defaults that follow from its model. Every rule runs even
 * when other keys are wrong, so that one run reports everything; it rests when a key it reads is wrong itself.
 */
import type { z } from "zod";
import { isOpaqueModel, modelFamily } from "./families.ts";
import { poolKeysSchema, type PoolKeys, type Scope } from "./schema.ts";

/** Used when a pool names no `defaultMaxTokens`, unless the model can write less. */
const DEFAULT_MAX_TOKENS = 1_024;

function tokenBounds(pool: Pick<PoolKeys, "model" | "maxOutputTokens" | "defaultMaxTokens">) {
  const maxOutputTokens = pool.maxOutputTokens ?? modelFamily(pool.model).maxOutputTokens;
  return {
    maxOutputTokens,
    defaultMaxTokens: pool.defaultMaxTokens ?? Math.min(DEFAULT_MAX_TOKENS, maxOutputTokens),
  };
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
    .refine((pool) => tokenBounds(pool).defaultMaxTokens < pool.quota.tokensPerMinute, {
      ...about("defaultMaxTokens", "maxOutputTokens", "model", "quota"),
      error: "less than `quota.tokensPerMinute`, since a job that uses it could never run",
    })
    .refine(
      (pool) => tokenBounds(pool).defaultMaxTokens < (scopes.get(pool.scope)?.tokensPerDay ?? Infinity),
      {
        ...about("defaultMaxTokens", "maxOutputTokens", "model", "scope"),
        error: "less than the scope's `tokensPerDay`, since a job that uses it could never run",
      },
    )
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
    .refine((pool) => Object.keys(pool.serviceTiers).every((lane) => pool.lanes.includes(lane)), {
      ...about("serviceTiers", "lanes"),
      error: "a mapping whose keys are lanes of this pool",
    })
    .transform(({ deadline, callTimeout, streamSilence, cache, ...pool }) => ({
      ...pool,
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
