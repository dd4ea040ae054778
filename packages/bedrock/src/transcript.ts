/** What a ConverseStream has said so far. It is an answer once the model has given its reason to stop. */
import { usageSchema, type Usage } from "@sluice/job";
import { z } from "zod";
import { toUsage } from "./converse.ts";
import { textTokens } from "./size.ts";

export interface Transcript {
  readonly text: string;
  /** `undefined` while the answer goes on. */
  readonly stopReason: string | undefined;
  /** As Bedrock reports it, in the last event. */
  readonly usage: Usage | undefined;
  /** About how many tokens the model has written, thoughts and tool input included. */
  readonly outputTokens: number;
  /** Adds an event. Returns the text in it, empty for most. */
  take(event: unknown): string;
}

const text = z.string().optional().catch(undefined);
const count = z.int().optional().catch(undefined);

function part<Shape extends z.ZodRawShape>(shape: Shape): z.ZodCatch<z.ZodOptional<z.ZodObject<Shape>>> {
  return z.object(shape).optional().catch(undefined);
}

/** Events have one member each. An unknown one, or one of another shape, says nothing. */
const eventSchema = z.object({
  contentBlockDelta: part({
    delta: part({ text, reasoningContent: part({ text }), toolUse: part({ input: text }) }),
  }),
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
      const { contentBlockDelta, messageStop, metadata } = eventSchema.safeParse(event).data ?? {};
      const { text: piece = "", reasoningContent, toolUse } = contentBlockDelta?.delta ?? {};
      said += piece;
      tokens += textTokens(piece + (reasoningContent?.text ?? "") + (toolUse?.input ?? ""));
      stopReason ??= messageStop?.stopReason;
      if (metadata?.usage !== undefined) usage = usageSchema.safeParse(toUsage(metadata.usage)).data;
      return piece;
    },
  };
}
