/** What the simulator knows about one model or inference profile: its quota, its limits and its pace. */
import { z } from "zod";

/** One model, nothing left out. */
export interface Model {
  /** 0 stands for an account without quota: every call answers the per-day message. */
  readonly tokensPerMinute: number;
  /** `null`: this model has no request quota. */
  readonly requestsPerMinute: number | null;
  /** How many quota tokens one output token costs at settlement. */
  readonly burndown: number;
  /** How the quota is metered; the real service does not say. */
  readonly window: "bucket" | "fixed" | "sliding";
  /** Seconds of quota one window holds: the depth of a bucket, the length of a fixed or sliding window. */
  readonly capacitySeconds: number;
  /** How full a bucket is at the start, 0 to 1. */
  readonly initialFill: number;
  /** The share of the quota that somebody else in the account uses, 0 to 1. */
  readonly strangerShare: number;
  /** Reserved when a request names no maximum; a request above it is refused. */
  readonly maxOutputTokens: number;
  /** Input above this is refused. */
  readonly contextTokens: number;
  /** False: the bare model id is refused and an inference profile is asked for. */
  readonly onDemand: boolean;
  /** `async` models take StartAsyncInvoke only; `timeToFirstTokenMs` is how long such an invocation runs. */
  readonly kind: "text" | "embedding" | "async";
  readonly latency: Latency;
  readonly answer: AnswerLength;
}

/** How fast a model answers. */
export interface Latency {
  /** Median time from admission to the first token, ms. */
  readonly timeToFirstTokenMs: number;
  /** Median speed of generation after the first token. */
  readonly tokensPerSecond: number;
  /** Spread of both: the sigma of a lognormal distribution. 0 makes every call the median one. */
  readonly sigma: number;
}

/** How much a model says. */
export interface AnswerLength {
  /** Median length of an answer, tokens. Never more than half of the call's `max_tokens`. */
  readonly medianTokens: number;
  /** Spread of the length: the sigma of a lognormal distribution. 0 makes every answer the median one. */
  readonly sigma: number;
}

/** One entry of a models file. What it leaves out comes from the built-in entry of the same family. */
export type ModelEntry = Partial<Omit<Model, "latency" | "answer">> & {
  /** The entry counts only in this Region. Left out: in every Region. */
  readonly region?: string;
  readonly latency?: Partial<Latency>;
  readonly answer?: Partial<AnswerLength>;
};

/** Model ids, or patterns with `*`, and their entries. An exact id wins, then the most specific pattern. */
export type ModelTable = Readonly<Record<string, ModelEntry>>;

const atLeastZero = z.exactOptional(z.number().nonnegative());
const aboveZero = z.exactOptional(z.number().positive());
const share = z.exactOptional(z.number().min(0).max(1));
const tokens = z.exactOptional(z.int().positive());

/** A models file. */
export const modelTableSchema: z.ZodType<ModelTable> = z.record(
  z.string().min(1),
  z.strictObject({
    region: z.exactOptional(z.string().min(1)),
    tokensPerMinute: atLeastZero,
    requestsPerMinute: z.exactOptional(z.number().nonnegative().nullable()),
    burndown: aboveZero,
    window: z.exactOptional(z.enum(["bucket", "fixed", "sliding"])),
    capacitySeconds: aboveZero,
    initialFill: share,
    strangerShare: share,
    maxOutputTokens: tokens,
    contextTokens: tokens,
    onDemand: z.exactOptional(z.boolean()),
    kind: z.exactOptional(z.enum(["text", "embedding", "async"])),
    latency: z.exactOptional(
      z.strictObject({ timeToFirstTokenMs: atLeastZero, tokensPerSecond: aboveZero, sigma: atLeastZero }),
    ),
    answer: z.exactOptional(z.strictObject({ medianTokens: aboveZero, sigma: atLeastZero })),
  }),
);
