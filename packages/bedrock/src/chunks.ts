/**
 * What an InvokeModelWithResponseStream has said so far. Every chunk is kept as the model sent it; text, usage and end
 * are read from Claude's and Nova's, and of any other model the end and the usage, which Bedrock itself reports.
 */
import type { Answer } from "@sluice/job";
import { z } from "zod";
import { NO_STOP_REASON } from "./invoke-reply.ts";
import type { Heard } from "./listen.ts";
import { textTokens } from "./size.ts";
import { contentBlockDelta, part, text } from "./transcript.ts";

type Chunk = NonNullable<Answer["body"]> | null;

/** Tokens as reported so far. */
export interface Counts {
  readonly input?: number | undefined;
  readonly output?: number | undefined;
  readonly cacheRead?: number | undefined;
  readonly cacheWrite?: number | undefined;
}

export interface Chunks extends Heard {
  readonly text: string;
  readonly body: readonly Chunk[];
  readonly counts: Counts;
}

const count = z.int().nonnegative().optional().catch(undefined);

const claudeUsage = part({
  input_tokens: count,
  output_tokens: count,
  cache_read_input_tokens: count,
  cache_creation_input_tokens: count,
});

const eventSchema = z.object({ chunk: z.object({ bytes: z.instanceof(Uint8Array) }) });

/** Claude names its chunks by `type`, Nova by their only member, as ConverseStream does. */
const chunkSchema = z.object({
  type: text,
  message: part({ usage: claudeUsage }),
  delta: part({ text, thinking: text, partial_json: text, stop_reason: text }),
  usage: claudeUsage,
  contentBlockDelta,
  messageStop: part({ stopReason: text }),
  metadata: part({
    usage: part({
      inputTokens: count,
      outputTokens: count,
      cacheReadInputTokens: count,
      cacheWriteInputTokens: count,
    }),
  }),
  // Llama's and Mistral's.
  stop_reason: text,
  // Bedrock's own, in the last chunk of any model.
  "amazon-bedrock-guardrailAction": text,
  "amazon-bedrock-invocationMetrics": part({ inputTokenCount: count, outputTokenCount: count }),
});

type Read = Partial<z.output<typeof chunkSchema>>;

export function createChunks(): Chunks {
  const body: Chunk[] = [];
  let said = "";
  let tokens = 0;
  let isOver = false;
  let isBlocked = false;
  let reason: string | undefined;
  let counts: Counts = {};
  return {
    body,
    get text() {
      return said;
    },
    get stopReason() {
      if (!isOver) return undefined;
      // A guardrail leaves the reason to stop as it was.
      return isBlocked ? "guardrail_intervened" : (reason ?? NO_STOP_REASON);
    },
    get counts() {
      return counts;
    },
    get outputTokens() {
      return Math.ceil(tokens);
    },
    take: (event) => {
      const bytes = eventSchema.safeParse(event).data?.chunk.bytes;
      if (bytes === undefined) return "";
      const chunk: Chunk = JSON.parse(new TextDecoder().decode(bytes));
      body.push(chunk);
      const read = chunkSchema.safeParse(chunk).data ?? {};
      const { piece, hidden } = writtenIn(read);
      said += piece;
      tokens += textTokens(piece + hidden);
      reason = read.messageStop?.stopReason ?? read.delta?.stop_reason ?? read.stop_reason ?? reason;
      isBlocked ||= read["amazon-bedrock-guardrailAction"] === "INTERVENED";
      isOver ||=
        read.type === "message_stop" ||
        read.messageStop !== undefined ||
        read["amazon-bedrock-invocationMetrics"] !== undefined;
      counts = merged(counts, read);
      return piece;
    },
  };
}

/** What the model wrote in a chunk: text for the reader, and what only counts. */
function writtenIn({ type, delta, contentBlockDelta: block }: Read): { piece: string; hidden: string } {
  if (type === "content_block_delta") {
    return { piece: delta?.text ?? "", hidden: (delta?.thinking ?? "") + (delta?.partial_json ?? "") };
  }
  const { text: piece = "", reasoningContent, toolUse } = block?.delta ?? {};
  return { piece, hidden: (reasoningContent?.text ?? "") + (toolUse?.input ?? "") };
}

/** Bedrock's own metrics come last and win: they are what the quota is charged. */
function merged(counts: Counts, { message, usage, metadata, ...read }: Read): Counts {
  const metrics = read["amazon-bedrock-invocationMetrics"];
  // Output counts at the start of a message are not its own yet.
  const claude = usage ?? { ...message?.usage, output_tokens: undefined };
  const nova = metadata?.usage;
  return {
    input: metrics?.inputTokenCount ?? claude.input_tokens ?? nova?.inputTokens ?? counts.input,
    output: metrics?.outputTokenCount ?? claude.output_tokens ?? nova?.outputTokens ?? counts.output,
    cacheRead: claude.cache_read_input_tokens ?? nova?.cacheReadInputTokens ?? counts.cacheRead,
    cacheWrite: claude.cache_creation_input_tokens ?? nova?.cacheWriteInputTokens ?? counts.cacheWrite,
  };
}
