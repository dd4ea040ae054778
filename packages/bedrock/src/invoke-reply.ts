/** What can be read from a body in a model's own format: its reason to stop and its usage. Pure. */
import type { Answer, InvokeRequest, Usage } from "@sluice/job";
import { z } from "zod";
import { estimateInputTokens, textTokens } from "./size.ts";

export interface Reply {
  readonly stopReason: string;
  readonly usage: Usage;
  /** Neither headers nor body report it. */
  readonly usageEstimated: boolean;
}

/** Embeddings have no reason to stop. */
export const NO_STOP_REASON = "not_reported";

const text = z.string().optional().catch(undefined);
const count = z.int().nonnegative().optional().catch(undefined);
const countHeader = z
  .string()
  .regex(/^\d{1,12}$/)
  .transform(Number)
  .optional()
  .catch(undefined);

const headersSchema = z.object({
  "x-amzn-bedrock-input-token-count": countHeader,
  "x-amzn-bedrock-output-token-count": countHeader,
});

/** Claude's names, Nova's and Titan's. Every other model has its counts in the headers alone. */
const bodySchema = z.object({
  stop_reason: text,
  stopReason: text,
  // A guardrail leaves the reason to stop as it was.
  "amazon-bedrock-guardrailAction": text,
  inputTextTokenCount: count,
  usage: z
    .object({
      input_tokens: count,
      output_tokens: count,
      cache_read_input_tokens: count,
      cache_creation_input_tokens: count,
      inputTokens: count,
      outputTokens: count,
      cacheReadInputTokens: count,
      cacheWriteInputTokens: count,
    })
    .optional()
    .catch(undefined),
});

/** Reads a reply. The headers win: Bedrock's own count is what the quota is charged. */
export function readReply(
  request: Pick<InvokeRequest, "body" | "maxTokens">,
  body: Answer["body"],
  headers: Readonly<Record<string, string>>,
): Reply {
  const inHeaders = headersSchema.parse(headers);
  const inBody = bodySchema.safeParse(body).data;
  const counts = inBody?.usage;
  const input =
    inHeaders["x-amzn-bedrock-input-token-count"] ??
    counts?.input_tokens ??
    counts?.inputTokens ??
    inBody?.inputTextTokenCount;
  const output =
    inHeaders["x-amzn-bedrock-output-token-count"] ??
    counts?.output_tokens ??
    counts?.outputTokens ??
    (request.maxTokens === 0 ? 0 : undefined);
  const isBlocked = inBody?.["amazon-bedrock-guardrailAction"] === "INTERVENED";
  return {
    stopReason: isBlocked
      ? "guardrail_intervened"
      : (inBody?.stop_reason ?? inBody?.stopReason ?? NO_STOP_REASON),
    usage: {
      inputTokens: input ?? estimateInputTokens(request),
      outputTokens: output ?? Math.min(request.maxTokens, Math.ceil(textTokens(JSON.stringify(body)))),
      cacheReadTokens: counts?.cache_read_input_tokens ?? counts?.cacheReadInputTokens ?? 0,
      cacheWriteTokens: counts?.cache_creation_input_tokens ?? counts?.cacheWriteInputTokens ?? 0,
    },
    usageEstimated: input === undefined || output === undefined,
  };
}
