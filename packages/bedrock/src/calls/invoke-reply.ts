/** What can be read from the reply of InvokeModel: its reason to stop and its usage. Pure. */
import type { Answer, InvokeRequest, Usage } from "@sluice/job";
import { z } from "zod";
import { NO_STOP_REASON } from "./answered.ts";
import { readNative } from "./native-body.ts";
import { estimateInputTokens, textTokens } from "../estimate/size.ts";
import { completeUsage } from "./usage.ts";

export interface Reply {
  readonly stopReason: string;
  readonly usage: Usage;
  /** Neither headers nor body report it. */
  readonly usageEstimated: boolean;
  /** There is no answer in it: the model's server says that nothing came of it. */
  readonly failure: string | undefined;
}

const countHeader = z
  .string()
  .regex(/^\d{1,12}$/)
  .transform(Number)
  .optional()
  .catch(undefined);

const headersSchema = z.object({
  "x-amzn-bedrock-input-token-count": countHeader,
  "x-amzn-bedrock-output-token-count": countHeader,
  "x-amzn-bedrock-cache-read-input-token-count": countHeader,
  "x-amzn-bedrock-cache-write-input-token-count": countHeader,
});

/** Reads a reply. The headers win: Bedrock's own count is what the quota is charged. */
export function readReply(
  request: Pick<InvokeRequest, "body" | "maxTokens">,
  body: Answer["body"],
  headers: Readonly<Record<string, string>>,
): Reply {
  const inHeaders = headersSchema.parse(headers);
  const { text, hidden, reason, counts, failure } = readNative(body);
  const output =
    inHeaders["x-amzn-bedrock-output-token-count"] ??
    counts.output ??
    (request.maxTokens === 0 ? 0 : undefined);
  const { usage, usageEstimated } = completeUsage(
    {
      input: inHeaders["x-amzn-bedrock-input-token-count"] ?? counts.input,
      output,
      total: counts.total,
      cacheRead: inHeaders["x-amzn-bedrock-cache-read-input-token-count"] ?? counts.cacheRead,
      cacheWrite: inHeaders["x-amzn-bedrock-cache-write-input-token-count"] ?? counts.cacheWrite,
    },
    {
      inputTokens: estimateInputTokens(request),
      // Of a body that nobody knows, everything may be the model's.
      outputTokens: Math.min(request.maxTokens, Math.ceil(textTokens(text + hidden || JSON.stringify(body)))),
    },
  );
  return { stopReason: reason ?? NO_STOP_REASON, usage, usageEstimated, failure };
}
