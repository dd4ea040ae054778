/**
 * What a model's name says about it: how Bedrock charges its output to the quota, and how much it can write.
 * Defaults only: AWS has changed these rules before, so the pools file can override both.
 */

export interface ModelFamily {
  /** Quota tokens that one output token costs at settlement. */
  readonly burndown: number;
  /** The most output tokens a request may ask for. */
  readonly maxOutputTokens: number;
}

/** First match wins. Found anywhere in the id: `us.`, `eu.` and `global.` profiles and ARNs end in the model's name. */
const FAMILIES: readonly (readonly [pattern: RegExp, family: ModelFamily])[] = [
  [/claude-[a-z]+-4-8(?!\d)/, { burndown: 15, maxOutputTokens: 64_000 }],
  [/claude-(?:sonnet|opus|fable)-5(?!\d)/, { burndown: 10, maxOutputTokens: 64_000 }],
  [/claude-opus-4(?:-1)?-(?:\d{8}|v\d)/, { burndown: 5, maxOutputTokens: 32_000 }],
  [/claude-(?:[a-z]+-4|3-7)/, { burndown: 5, maxOutputTokens: 64_000 }],
  [/claude-3-5/, { burndown: 5, maxOutputTokens: 8_192 }],
  [/claude/, { burndown: 5, maxOutputTokens: 4_096 }],
  [/amazon\.nova/, { burndown: 1, maxOutputTokens: 5_000 }],
];

const OTHER: ModelFamily = { burndown: 1, maxOutputTokens: 4_096 };

/** The defaults for a model or inference profile, by its id or ARN. */
export function modelFamily(model: string): ModelFamily {
  return FAMILIES.find(([pattern]) => pattern.test(model))?.[1] ?? OTHER;
}

/**
 * Whether the id hides which model answers: application profiles, provisioned throughput and imported models
 * have ARNs without a model name. Their burndown cannot be guessed.
 */
export function isOpaqueModel(model: string): boolean {
  return model.startsWith("arn:") && !/:(?:foundation-model|inference-profile)\//.test(model);
}

/**
 * Which of an account's quotas in a Region a model draws on: calls with an equal answer share one. Bedrock counts a
 * model on demand, through a geographic profile (`us.`, `eu.`) and through `global.` each by itself, so the prefix
 * stays. The ARN of a model or of a profile that AWS defines is the same as its id. Application profiles and
 * provisioned throughput have a quota of their own, named by their ARN.
 */
export function quotaOf(model: string): string {
  return (
    /^arn:[\w-]*:bedrock:[^:]*:[^:]*:(?:foundation-model|inference-profile)\/(.+)$/.exec(model)?.[1] ?? model
  );
}
