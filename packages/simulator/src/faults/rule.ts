/** When a fault strikes: conditions on a call, and which of the calls that meet them. */
import { z } from "zod";
import { matchesPattern } from "../models/find.ts";
import type { Random } from "../random.ts";
import { type Fault, faultSchema } from "./fault.ts";
import { parseFault } from "./spelling.ts";

/** A scripted fault. All conditions must hold; one that is left out always does. */
export interface FaultRule {
  /** Model id or pattern with `*`. */
  readonly model?: string;
  readonly region?: string;
  /** `Converse`, `InvokeModel`, … */
  readonly operation?: string;
  /** A text the prompt must contain. */
  readonly prompt?: string;
  /** The access key the request is signed with. */
  readonly accessKey?: string;
  /** Spares the first so many matching calls. Default 0. */
  readonly skip?: number;
  /** Strikes each nth matching call only. Default 1: every one. */
  readonly every?: number;
  /** Strikes so many times and is spent. Default: no end. */
  readonly times?: number;
  /** Strikes with this probability, drawn from the simulator's seed. Default 1. */
  readonly rate?: number;
  /** Begins so many ms after the rule was set. Default 0. */
  readonly afterMs?: number;
  /** Ends so many ms after it began. Default: never. */
  readonly forMs?: number;
  readonly fault: Fault;
}

/** A rule as people write it: the fault as an object or in one word. */
export type FaultRuleInput = Omit<FaultRule, "fault"> & { readonly fault: Fault | string };

/** A rule as JSON; its fault may be spelled in one word. */
export const faultRuleSchema: z.ZodType<FaultRule> = z.strictObject({
  model: z.exactOptional(z.string().min(1)),
  region: z.exactOptional(z.string().min(1)),
  operation: z.exactOptional(z.string().min(1)),
  prompt: z.exactOptional(z.string().min(1)),
  accessKey: z.exactOptional(z.string().min(1)),
  skip: z.exactOptional(z.int().nonnegative()),
  every: z.exactOptional(z.int().positive()),
  times: z.exactOptional(z.int().positive()),
  rate: z.exactOptional(z.number().min(0).max(1)),
  afterMs: z.exactOptional(z.number().nonnegative()),
  forMs: z.exactOptional(z.number().positive()),
  fault: z
    .unknown()
    .transform((given, context): unknown => {
      if (typeof given !== "string") return given;
      const spelled = parseFault(given);
      if (spelled !== undefined && spelled.times === Infinity) return spelled.fault;
      context.addIssue({ code: "custom", message: `Expected the name of a fault, got "${given}"` });
      return z.NEVER;
    })
    .pipe(faultSchema),
});

/** What a rule looks at. */
export interface FaultedCall {
  readonly operation: string;
  readonly region: string;
  readonly model: string;
  readonly prompt: string;
  /** Empty when the request was not signed with one. */
  readonly accessKey: string;
}

/** How far a rule has come. */
export interface RuleProgress {
  /** Calls that met the conditions. */
  readonly matched: number;
  /** Calls it struck. */
  readonly struck: number;
}

/** Whether a call meets the conditions of a rule set `ageMs` ago. */
export function meets(rule: FaultRule, call: FaultedCall, ageMs: number): boolean {
  const { afterMs = 0, forMs = Infinity } = rule;
  return (
    ageMs >= afterMs &&
    ageMs < afterMs + forMs &&
    (rule.model === undefined || matchesPattern(rule.model, call.model)) &&
    (rule.region === undefined || rule.region === call.region) &&
    (rule.operation === undefined || rule.operation === call.operation) &&
    (rule.prompt === undefined || call.prompt.includes(rule.prompt)) &&
    (rule.accessKey === undefined || rule.accessKey === call.accessKey)
  );
}

/** Whether a rule strikes the next call that meets it. */
export function strikes(rule: FaultRule, { matched, struck }: RuleProgress, random: Random): boolean {
  const { skip = 0, every = 1, times = Infinity, rate = 1 } = rule;
  const rank = matched - skip + 1;
  return struck < times && rank > 0 && rank % every === 0 && (rate === 1 || random() < rate);
}
