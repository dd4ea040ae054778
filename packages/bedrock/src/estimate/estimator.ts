/**
 * An estimate that learns. Two things are learned from the usage of calls that were answered: by how much the length
 * of a request misleads about its tokens, one factor per estimator, since a tokeniser belongs to a model; and how
 * long answers are, per class of call, since prompts of one kind get answers of one length.
 */
import type { SizedRequest, Usage } from "@sluice/job";
import { settled } from "./quota-cost.ts";
import { estimateInputTokens } from "./size.ts";

/** What a call will take of the quota when it starts. */
export interface Estimate {
  readonly inputTokens: number;
  /** Input and output together. */
  readonly tokens: number;
}

export interface EstimatorOptions {
  /** Quota tokens per output token, as in the pools file. */
  readonly burndown: number;
  /** Id or ARN; chooses where learning starts. Default: no family. */
  readonly model?: string;
  /**
   * Weight of the newest observation, above 0 and at most 1. Default 0.05: the last 20 calls or so count most.
   * The first ones weigh more, so that a bad start is soon over.
   */
  readonly weight?: number;
}

/**
 * `callClass` names the kind of prompt. At most 1,000 are remembered, so it should not name single prompts.
 * Default: requests of one `maxTokens` are a class, because each kind of prompt tends to have its own.
 */
export interface Estimator {
  /**
   * What to reserve for a call: its input, and the larger of `maxTokens` and what its output is expected to cost at
   * settlement. Never less than Bedrock's own admission sum.
   */
  reserve(request: SizedRequest, callClass?: string): Estimate;
  /** Learns from a call that Bedrock has reported the usage of. Leave out usage that is itself an estimate. */
  learn(request: SizedRequest, usage: Usage, callClass?: string): void;
  /** What a call cost by its usage. May be more than was reserved. */
  settled(usage: Usage): number;
  /**
   * What to charge for a call that was cut and has no usage: its input, and the larger of the output that was seen
   * and the output expected, since the model may have gone on alone.
   * @param observedOutputTokens default 0.
   */
  unfinished(request: SizedRequest, observedOutputTokens?: number, callClass?: string): number;
}

/**
 * Where the input factor starts, by family: tokens of its tokeniser per token by `estimateInputTokens`, which counts
 * like the more talkative ones. Rough on purpose. Claude from 4.7 on cuts text into up to a third more tokens than
 * its elders; Nova, Llama and Titan get by with about a tenth less.
 */
const FAMILIES: readonly (readonly [pattern: RegExp, factor: number])[] = [
  [/claude-(?:[a-z]+-4-[78]|[a-z]+-5)(?!\d)/, 1.25],
  [/claude/, 1],
  [/amazon\.(?:nova|titan)|meta\.llama/, 0.9],
];

/** No observation, however odd, moves the factor beyond these. */
const LEAST_FACTOR = 0.25;
const LARGEST_FACTOR = 4;

/** Before anything is known: most answers end well before their limit. A share of `maxTokens`. */
const OUTPUT_SHARE_AT_START = 0.3;

const DEFAULT_WEIGHT = 0.05;
const CLASSES_REMEMBERED = 1_000;

/** @throws RangeError for a burndown or weight out of range. */
export function createEstimator(options: EstimatorOptions): Estimator {
  const { burndown, model = "", weight = DEFAULT_WEIGHT } = options;
  if (!(burndown >= 1)) throw new RangeError(`Expected \`burndown\` to be 1 or more, got ${burndown}`);
  if (!(weight > 0 && weight <= 1)) {
    throw new RangeError(`Expected \`weight\` to be above 0 and at most 1, got ${weight}`);
  }
  const familyFactor = FAMILIES.find(([pattern]) => pattern.test(model))?.[1] ?? 1;
  let factor: Mean = { value: familyFactor, count: 1 };
  // Of all classes: what a class that is not known yet starts with.
  let outputShare: Mean = { value: OUTPUT_SHARE_AT_START, count: 1 };
  const outputs = new Map<string, Mean>();

  const input = (request: SizedRequest): number =>
    Math.max(1, Math.ceil(estimateInputTokens(request) * factor.value));
  const output = (request: SizedRequest, callClass = byLimit(request)): number => {
    const known = outputs.get(callClass)?.value;
    return Math.min(request.maxTokens, known ?? outputShare.value * request.maxTokens);
  };

  return {
    reserve: (request, callClass) => {
      const inputTokens = input(request);
      const expected = Math.ceil(burndown * output(request, callClass));
      return { inputTokens, tokens: inputTokens + Math.max(request.maxTokens, expected) };
    },
    learn: (request, usage, callClass = byLimit(request)) => {
      // Cached tokens are part of the prompt too. None at all: a filter spoke, and the model never saw it.
      const tokens = usage.inputTokens + usage.cacheReadTokens + usage.cacheWriteTokens;
      if (tokens === 0) return;
      const seen = tokens / estimateInputTokens(request);
      factor = updated(factor, Math.min(LARGEST_FACTOR, Math.max(LEAST_FACTOR, seen)), weight);
      if (request.maxTokens === 0) return;
      const share = Math.min(1, usage.outputTokens / request.maxTokens);
      outputShare = updated(outputShare, share, weight);
      const known = outputs.get(callClass);
      const next =
        known === undefined
          ? { value: usage.outputTokens, count: 1 }
          : updated(known, usage.outputTokens, weight);
      // Deleted first, so that the map keeps the order of last use.
      outputs.delete(callClass);
      outputs.set(callClass, next);
      const [oldest] = outputs.keys();
      if (outputs.size > CLASSES_REMEMBERED && oldest !== undefined) outputs.delete(oldest);
    },
    settled: (usage) => settled(usage, burndown),
    unfinished: (request, observedOutputTokens = 0, callClass) =>
      Math.ceil(input(request) + burndown * Math.max(observedOutputTokens, output(request, callClass))),
  };
}

/** A mean that forgets: plain while there are few observations, exponentially weighted from then on. */
interface Mean {
  readonly value: number;
  readonly count: number;
}

function updated({ value, count }: Mean, seen: number, weight: number): Mean {
  const share = Math.max(weight, 1 / (count + 1));
  return { value: value + share * (seen - value), count: count + 1 };
}

function byLimit({ maxTokens }: SizedRequest): string {
  return String(maxTokens);
}
