/** The same prompt gets the same answer: text, length and reason to stop follow from the prompt alone. */
import { hashText, lognormal, seeded } from "../random.ts";
import { writeProse } from "./prose.ts";
import { asksForSummary, summarise } from "./summary.ts";
import { CHARACTERS_PER_TOKEN, countTokens } from "./tokens.ts";

/** Reasons to stop that follow from the prompt; faults add others. */
export type NaturalStop = "end_turn" | "max_tokens" | "stop_sequence";

/** What a model says. */
export interface Answer {
  readonly text: string;
  readonly outputTokens: number;
  readonly stopReason: NaturalStop;
  readonly stopSequence: string | undefined;
}

/** What the answer depends on. */
export interface AnswerRequest {
  readonly prompt: string;
  readonly maxTokens: number;
  readonly stopSequences: readonly string[];
  readonly medianTokens: number;
  readonly sigma: number;
}

/**
 * Writes the answer. Its length is lognormal around the median, or around half of `maxTokens` when that is
 * less: most answers end by themselves, a few run into the limit.
 */
export function composeAnswer(request: AnswerRequest): Answer {
  if (request.maxTokens === 0)
    return { text: "", outputTokens: 0, stopReason: "end_turn", stopSequence: undefined };
  const random = seeded(hashText(request.prompt));
  const median = Math.min(request.medianTokens, request.maxTokens / 2);
  const wanted = Math.max(1, Math.round(lognormal(median, request.sigma, random)));
  const characters = Math.min(wanted, request.maxTokens + 1) * CHARACTERS_PER_TOKEN;
  const summary = asksForSummary(request.prompt) ? summarise(request.prompt, characters) : "";
  const full = summary === "" ? writeProse(request.prompt, characters, random) : summary;
  return shorten(full, wanted, request);
}

/** Applies the first limit the text runs into: a stop sequence or `maxTokens`. */
function shorten(full: string, wanted: number, request: AnswerRequest): Answer {
  const limit = request.maxTokens * CHARACTERS_PER_TOKEN;
  // The last sentence may run over the limit although a shorter answer was wanted: then the answer ends there.
  const outOfTokens = wanted > request.maxTokens && full.length > limit;
  const text = full.slice(0, limit);
  const [first] = request.stopSequences
    .map((sequence) => ({ sequence, at: text.indexOf(sequence) }))
    .filter(({ at }) => at !== -1)
    .toSorted((left, right) => left.at - right.at);
  if (first !== undefined) {
    return ended(text.slice(0, first.at), "stop_sequence", first.sequence);
  }
  return ended(text, outOfTokens ? "max_tokens" : "end_turn", undefined);
}

function ended(text: string, stopReason: NaturalStop, stopSequence: string | undefined): Answer {
  return { text, outputTokens: Math.max(1, countTokens(text)), stopReason, stopSequence };
}
