/** What a ConverseStream has said so far. It is an answer once the model has given its reason to stop. */
import { z } from "zod";
import { NO_STOP_REASON } from "./answered.ts";
import { converseUsage, toCounts } from "./converse.ts";
import { part, stopWord, text, type Lenient } from "../lenient.ts";
import type { Heard } from "./listen.ts";
import { textTokens } from "../estimate/size.ts";
import type { Counts } from "./usage.ts";

export interface Transcript extends Heard {
  readonly text: string;
  /** As Bedrock reports them, in the last event. */
  readonly counts: Counts;
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
  messageStop: part({ stopReason: stopWord }),
  metadata: part({ usage: converseUsage }),
});

export function createTranscript(): Transcript {
  let said = "";
  let tokens = 0;
  let isOver = false;
  let reason: string | undefined;
  let counts: Counts = {};
  return {
    get text() {
      return said;
    },
    get stopReason() {
      return isOver ? (reason ?? NO_STOP_REASON) : undefined;
    },
    isOpenEnded: false,
    get counts() {
      return counts;
    },
    get outputTokens() {
      return Math.ceil(tokens);
    },
    take: (event) => {
      const { contentBlockDelta: block, messageStop, metadata } = eventSchema.safeParse(event).data ?? {};
      const { text: piece = "", reasoningContent, toolUse } = block?.delta ?? {};
      said += piece;
      tokens += textTokens(piece + (reasoningContent?.text ?? "") + (toolUse?.input ?? ""));
      reason ??= messageStop?.stopReason;
      // The usage comes last: an answer that has been billed is whole, also when its stop was lost on the way.
      isOver ||= messageStop !== undefined || metadata?.usage !== undefined;
      if (metadata?.usage !== undefined) counts = toCounts(metadata.usage);
      return piece;
    },
  };
}
