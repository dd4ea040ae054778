/**
 * The native bodies of the families of models, one row for each shape: where its text stands, what it calls its reason
 * to stop, what it counts. Shapes have no member in common that means two things, so a body is read by every row that
 * fits it; most chunks of a stream have the shape of the whole body. What no row knows is kept as it is.
 */
import { z } from "zod";
import { list, part, stopWord, text } from "../lenient.ts";
import { contentBlockDelta } from "./transcript.ts";
import { count, type Counts } from "./usage.ts";

/** What one shape says. */
export interface Reading {
  /** For the reader. */
  readonly text?: string;
  /** Thoughts and tool input: they only count. */
  readonly hidden?: string;
  /** In the model's own words, one for each candidate. */
  readonly reasons?: readonly (string | undefined)[];
  /** Whether nothing of the answer follows. Shapes without it are not of a stream, or end by their reason to stop. */
  readonly isOver?: boolean;
  readonly counts?: Counts;
  /** The model's server says that nothing came of it. */
  readonly failure?: string | undefined;
}

type Pieces = readonly (string | undefined)[];

const join = (...pieces: readonly Pieces[]): string => pieces.flat().join("");
const json = (value: unknown): string => JSON.stringify(value) ?? "";

const said = list({ text, thinking: text, input: z.unknown().optional() });

/** A message as OpenAI writes it, whole or as `delta`: text, or a list of parts. */
const message = part({
  content: z.union([z.string(), said]).optional().catch(undefined),
  reasoning_content: text,
  reasoning: text,
  refusal: text,
  tool_calls: z.unknown().optional(),
});

const choice = {
  text,
  message,
  delta: message,
  finish_reason: stopWord,
  // Mistral's and DeepSeek's. Elsewhere it is the sequence that was hit, beside the reason.
  stop_reason: stopWord,
};

const textOf = (content: string | z.output<typeof said> | undefined): Pieces =>
  typeof content === "string" ? [content] : (content ?? []).map((block) => block?.text);

function fromChoice(
  candidate: z.output<ReturnType<typeof part<typeof choice>>>,
): Required<Pick<Reading, "text" | "hidden" | "reasons">> {
  const messages = [candidate?.message, candidate?.delta];
  const isRefused = messages.some((each) => each?.refusal);
  return {
    text: join([candidate?.text], ...messages.map((each) => textOf(each?.content))),
    hidden: join(
      ...messages.map((each) => [each?.reasoning_content ?? each?.reasoning, json(each?.tool_calls)]),
    ),
    // A refusal has a field of its own, and `stop` beside it.
    reasons: [isRefused ? "refusal" : (candidate?.finish_reason ?? candidate?.stop_reason)],
  };
}

const CLAUDE_EVENTS = [
  "message_start",
  "content_block_start",
  "content_block_delta",
  "content_block_stop",
  "message_delta",
  "message_stop",
  "ping",
] as const;

/** An image that is there. */
const image = z.string().min(1);

export const FAMILIES: Readonly<Record<string, z.ZodType<Reading>>> = {
  Claude: z.object({ content: said }).transform(({ content }) => ({
    text: join(content.map((block) => block?.text)),
    hidden: join(content.map((block) => (block?.thinking ?? "") + json(block?.input))),
  })),
  "Claude, chunks": z
    .object({
      type: z.enum(CLAUDE_EVENTS),
      delta: part({ text, thinking: text, partial_json: text, stop_reason: stopWord }),
    })
    .transform(({ type, delta }) => ({
      text: delta?.text ?? "",
      hidden: join([delta?.thinking, delta?.partial_json]),
      reasons: [delta?.stop_reason],
      isOver: type === "message_stop",
    })),
  "Claude, completions": z
    .object({ completion: z.string() })
    .transform(({ completion }) => ({ text: completion })),
  Nova: z.object({ output: z.object({ message: z.object({ content: said }) }) }).transform(({ output }) => ({
    text: join(output.message.content.map((block) => block?.text)),
  })),
  "Nova, chunks": z
    .object({
      messageStart: part({}),
      contentBlockStart: part({}),
      contentBlockDelta,
      contentBlockStop: part({}),
      messageStop: part({ stopReason: stopWord }),
      metadata: part({ usage: part({}) }),
    })
    .refine((events) => Object.values(events).some((event) => event !== undefined))
    .transform(({ contentBlockDelta: block, messageStop, metadata }) => ({
      text: block?.delta?.text ?? "",
      hidden: join([block?.delta?.reasoningContent?.text, block?.delta?.toolUse?.input]),
      reasons: [messageStop?.stopReason],
      isOver: messageStop !== undefined || metadata?.usage !== undefined,
    })),
  "OpenAI, DeepSeek, Jamba, Mistral chat, Qwen, Writer": z
    .object({ choices: list(choice) })
    .transform(({ choices }) => {
      const read = choices.map(fromChoice);
      return {
        text: join(read.map((each) => each.text)),
        hidden: join(read.map((each) => each.hidden)),
        reasons: read.flatMap((each) => each.reasons),
      };
    }),
  "Titan text": z
    .object({ results: list({ outputText: text, completionReason: stopWord, tokenCount: count }) })
    .transform(({ results }) => {
      const tokens = results.map((result) => result?.tokenCount).filter((each) => each !== undefined);
      return {
        text: join(results.map((result) => result?.outputText)),
        reasons: results.map((result) => result?.completionReason),
        counts: { output: tokens.length === 0 ? undefined : tokens.reduce((sum, each) => sum + each) },
      };
    }),
  "Titan text, chunks": z
    .object({ outputText: z.string(), completionReason: stopWord, totalOutputTextTokenCount: count })
    .transform(({ outputText, completionReason, totalOutputTextTokenCount }) => ({
      text: outputText,
      reasons: [completionReason],
      counts: { output: totalOutputTextTokenCount },
    })),
  "Llama, imported models": z
    .object({ generation: z.string(), prompt_token_count: count, generation_token_count: count })
    .transform(({ generation, prompt_token_count: input, generation_token_count: output }) => ({
      text: generation,
      counts: { input, output },
    })),
  Mistral: z.object({ outputs: list({ text, stop_reason: stopWord }) }).transform(({ outputs }) => ({
    text: join(outputs.map((output) => output?.text)),
    reasons: outputs.map((output) => output?.stop_reason),
  })),
  "Cohere Command": z
    .object({ generations: list({ text, finish_reason: stopWord }) })
    .transform(({ generations }) => ({
      text: join(generations.map((generation) => generation?.text)),
      reasons: generations.map((generation) => generation?.finish_reason),
    })),
  "Cohere Command R, chunks of Command": z
    .object({ text: z.string() })
    .transform(({ text: spoken }) => ({ text: spoken })),
  "Cohere, chunks": z
    .union([
      z.object({ is_finished: z.boolean() }),
      z.object({ event_type: z.string(), is_finished: z.unknown().optional() }),
    ])
    .transform(({ is_finished: isOver }) => ({ isOver: isOver === true })),
  "Cohere, v2": z.object({ message: z.object({ content: said }) }).transform(({ message: { content } }) => ({
    text: join(content.map((block) => block?.text)),
  })),
  "AI21 Jurassic": z
    .object({
      prompt: part({ tokens: z.array(z.unknown()) }),
      completions: list({
        data: part({ text, tokens: z.array(z.unknown()).optional().catch(undefined) }),
        finishReason: part({ reason: stopWord }),
      }),
    })
    .transform(({ prompt, completions }) => {
      const tokens = completions
        .map((each) => each?.data?.tokens?.length)
        .filter((each) => each !== undefined);
      return {
        text: join(completions.map((each) => each?.data?.text)),
        reasons: completions.map((each) => each?.finishReason?.reason),
        counts: {
          input: prompt?.tokens.length,
          output: tokens.length === 0 ? undefined : tokens.reduce((sum, each) => sum + each),
        },
      };
    }),
  "TwelveLabs Pegasus": z
    .object({ message: z.string(), finishReason: z.string().nullable() })
    .transform(({ message: spoken }) => ({ text: spoken })),
  // The error is what the filter of the output says; images that it did not stop stand beside it.
  "Nova Canvas, Titan Image, Stability": z
    .object({
      images: z.array(z.unknown()).nullable(),
      error: text,
      finish_reasons: z.array(stopWord).optional().catch(undefined),
    })
    .transform(({ images, error, finish_reasons: reasons = [] }) => ({
      reasons: [error === undefined || error === "" ? undefined : "content_filtered", ...reasons],
      failure: images?.some((each) => image.safeParse(each).success) ? undefined : reasons.find(isError),
    })),
  "Stable Diffusion": z
    .object({ artifacts: list({ base64: text, finishReason: stopWord }) })
    .transform(({ artifacts }) => {
      const reasons = artifacts.map((artifact) => artifact?.finishReason);
      const isEmpty = !artifacts.some((artifact) => image.safeParse(artifact?.base64).success);
      return { reasons, failure: isEmpty ? reasons.find(isError) : undefined };
    }),
  "Titan Multimodal Embeddings": z
    .object({ embedding: z.null(), message: z.string().min(1) })
    .transform(({ message: failure }) => ({ failure })),
};

/** Whether a reason to stop says that the model's server failed. */
export function isError(reason: string | undefined): reason is string {
  return reason !== undefined && /^(?:error|inference error)$/i.test(reason);
}
