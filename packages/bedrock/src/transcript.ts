/** What a ConverseStream has said so far. It is an answer once the model has given its reason to stop. */
import { usageSchema, type Usage } from "@sluice/job";
import { z } from "zod";
import { toUsage } from "./converse.ts";
import type { Heard } from "./listen.ts";
import { textTokens } from "./size.ts";

export interface Transcript extends Heard {
  readonly text: string;
  /** As Bedrock reports it, in the last event. */
  readonly usage: Usage | undefined;
}

type Lenient<Schema extends z.ZodType> = z.ZodCatch<z.ZodOptional<Schema>>;

/** A text, or nothing: whatever else stands there says nothing. */
export const text: Lenient<z.ZodString> = z.string().optional().catch(undefined);
const count = z.int().optional().catch(undefined);

/** A member of an event, or nothing when it has another shape. */
export function part<Shape extends z.ZodRawShape>(shape: Shape): Lenient<z.ZodObject<Shape>> {
  return z.object(shape).optional().catch(undefined);
}

/** A piece of the answer. Nova's own stream has the same. */
export const contentBlockDelta: Lenient<
  z.ZodObject<{
    delta: Lenient<
      z.ZodObject<{
        text: typeof text;
        reasoningContent: Lenient<z.ZodObject<{ text: typeof text }>>;
        toolUse: Lenient<z.ZodObject<{ input: typeof text }>>;
      }>
    >;
  }>
> = part({ delta: part({ text, reasoningContent: part({ text }), toolUse: part({ input: text }) }) });

/** Events have one member each. An unknown one, or one of another shape, says nothing. */
const eventSchema = z.object({
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
});

export function createTranscript(): Transcript {
  let said = "";
  let tokens = 0;
  let stopReason: string | undefined;
  let usage: Usage | undefined;
  return {
    get text() {
      return said;
    },
    get stopReason() {
      return stopReason;
    },
    get usage() {
      return usage;
    },
    get outputTokens() {
      return Math.ceil(tokens);
    },
    take: (event) => {
      const { contentBlockDelta: block, messageStop, metadata } = eventSchema.safeParse(event).data ?? {};
      const { text: piece = "", reasoningContent, toolUse } = block?.delta ?? {};
      said += piece;
      tokens += textTokens(piece + (reasoningContent?.text ?? "") + (toolUse?.input ?? ""));
      stopReason ??= messageStop?.stopReason;
      if (metadata?.usage !== undefined) usage = usageSchema.safeParse(toUsage(metadata.usage)).data;
      return piece;
    },
  };
}
