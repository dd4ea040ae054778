/**
 * The keys of the pools file: types, ranges, defaults. Messages complete the sentence "Expected `key` to be ...",
 * because `problems.ts` prints them that way.
 */
import { DEFAULT_LANES, nameSchema } from "@sluice/job";
import { z } from "zod";
import { durationSchema } from "./duration.ts";
import { REGION_FORM } from "./regions.ts";
import { breakerSchema, ceilingSchema, laneSchema, paceSchema, SETTINGS_KEYS } from "./settings.ts";

export const NAME_RULE = "1 to 48 lower case letters, digits or inner hyphens";
const name = z.string(NAME_RULE).refine((value) => nameSchema.safeParse(value).success, NAME_RULE);

function wholeNumber(max: number) {
  const expected = `a whole number from 1 to ${max}`;
  return z.int(expected).min(1, expected).max(max, expected);
}

const PROFILE_RULE = "the name of a profile of the AWS config and credentials files";
const REGION_RULE = "an AWS Region such as us-east-1";
const MODEL_RULE = "the id or ARN of a model or inference profile";
const LANES_RULE = "a list of 1 to 16 different lane names, most urgent first";
const LANE_RULE = "the name of a lane, or a mapping of its `name` and settings";
const SHARE_RULE = "a fraction above 0 and at most 1";
const FALLBACK_RULE = "a list of at most 8 different pools of this file, first choice first";
const TIER_RULE = "one of default, priority, flex, reserved";
const TIERS_RULE = "a mapping of lane names to service tiers";
const TEXT_RULE = "a text of 1 to 2000 characters";
const OUTPUTS_RULE = "a list of at most 16 S3 prefixes such as s3://bucket/answers";
const BURNDOWN_RULE = "a number from 1 to 100";
/** The same buckets as a job may name; a key without spaces, as it stands in policies. */
const S3_PREFIX = /^s3:\/\/[a-z0-9.-]{3,63}(\/[!-~]{0,900})?$/;
export const MAPPING_RULE = "a mapping of keys to values";

/** One AWS account in one Region. */
export const scopeFileSchema = z.strictObject(
  {
    region: z.string(REGION_RULE).regex(REGION_FORM, REGION_RULE),
    profile: z
      .string(PROFILE_RULE)
      .regex(/^[^\p{C}\s[\]]{1,128}$/u, PROFILE_RULE)
      .nullable()
      .default(null),
    tokensPerDay: wholeNumber(1e15).nullable().default(null),
  },
  MAPPING_RULE,
);

export const quotaFileSchema = z.strictObject(
  {
    tokensPerMinute: wholeNumber(1e12),
    requestsPerMinute: wholeNumber(1e9).nullable().default(null),
  },
  MAPPING_RULE,
);

/** The keys of a pool, each by itself. */
export const poolKeysSchema = z.strictObject(
  {
    scope: z.string("the name of a scope"),
    model: z.string(MODEL_RULE).regex(/^[\w.:/-]{1,2048}$/, MODEL_RULE),
    quota: quotaFileSchema,
    share: z.number(SHARE_RULE).gt(0, SHARE_RULE).max(1, SHARE_RULE).default(1),
    burndown: z.number(BURNDOWN_RULE).min(1, BURNDOWN_RULE).max(100, BURNDOWN_RULE).optional(),
    maxOutputTokens: wholeNumber(1_000_000).optional(),
    defaultMaxTokens: wholeNumber(1_000_000).optional(),
    lanes: z
      .array(laneSchema(name, LANE_RULE), LANES_RULE)
      .min(1, LANES_RULE)
      .max(16, LANES_RULE)
      .refine((lanes) => new Set(lanes.map((lane) => lane.name)).size === lanes.length, LANES_RULE)
      .default(DEFAULT_LANES.map((lane) => ({ name: lane }))),
    slots: wholeNumber(10_000).default(32),
    deadline: durationSchema("1s", "30d").default(86_400_000),
    maxAttempts: wholeNumber(100).default(5),
    // AWS documents inference of up to 60 minutes.
    callTimeout: durationSchema("1s", "60m").default(120_000),
    // Models that think, or write the input of a tool, can be silent for long; a black hole is silent for ever.
    streamSilence: durationSchema("1s", "60m").default(60_000),
    maxWaiting: wholeNumber(100_000_000).default(100_000),
    maxWaitingBytes: wholeNumber(1e12).default(1_073_741_824),
    fallback: z
      .array(name, FALLBACK_RULE)
      .max(8, FALLBACK_RULE)
      .refine((pools) => new Set(pools).size === pools.length, FALLBACK_RULE)
      .default([]),
    serviceTiers: z
      .record(name, z.enum(["default", "priority", "flex", "reserved"], TIER_RULE), TIERS_RULE)
      .default({}),
    filteredMessage: z.string(TEXT_RULE).min(1, TEXT_RULE).max(2_000, TEXT_RULE).nullable().default(null),
    asyncOutputs: z
      .array(z.string(OUTPUTS_RULE).regex(S3_PREFIX, OUTPUTS_RULE), OUTPUTS_RULE)
      .max(16, OUTPUTS_RULE)
      .default([]),
    cache: durationSchema("1s", "7d").nullable().default(null),
    pace: paceSchema.optional(),
    ceiling: ceilingSchema.optional(),
    breaker: breakerSchema.optional(),
  },
  MAPPING_RULE,
);

/** A pool as the file has it, defaults of single keys filled in. */
export type PoolKeys = z.output<typeof poolKeysSchema>;

/** The keys of a mapping inside a pool, to show for an unknown one. */
export const INNER_KEYS: Readonly<Record<string, readonly string[]>> = {
  quota: Object.keys(quotaFileSchema.shape),
  ...SETTINGS_KEYS,
};

/** One AWS account in one Region: the owner of the daily token quota. */
export type Scope = z.output<typeof scopeFileSchema> & { readonly name: string };
