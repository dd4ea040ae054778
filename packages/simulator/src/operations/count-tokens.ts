/** CountTokens: free of quota, but a call like any other in the evidence and to the faults. */
import { z } from "zod";
import { invalid, parseJsonBody } from "@sluice/wire";
import {
  type Conversation,
  checkConversation,
  conversationSchema,
  promptParts,
} from "../dialects/converse-request.ts";
import { readInvocation } from "./invoke.ts";
import type { PromptPart } from "../dialects/model-request.ts";
import type { Read } from "../dialects/reply.ts";

interface CountTokensBody {
  readonly input: {
    readonly converse?: Conversation | undefined;
    readonly invokeModel?: { body: string } | undefined;
  };
}

const bodySchema: z.ZodType<CountTokensBody> = z.looseObject({
  input: z.looseObject({
    converse: conversationSchema.optional(),
    invokeModel: z.looseObject({ body: z.string() }).optional(),
  }),
});

/** Reads a CountTokens request. */
export function countTokensOf(body: Buffer, modelId: string): Read {
  return (model) => {
    const { input } = parseJsonBody(bodySchema, body);
    let parts: readonly PromptPart[];
    if (input.converse !== undefined) {
      checkConversation(input.converse);
      parts = promptParts(input.converse);
    } else if (input.invokeModel !== undefined) {
      // The member is a blob: base64 on the wire.
      parts = readInvocation(Buffer.from(input.invokeModel.body, "base64"), model, modelId).request.parts;
    } else {
      throw invalid(
        "1 validation error detected: Value at 'input' failed to satisfy constraint: Member must not be null",
      );
    }
    return {
      isFree: true,
      request: { parts, maxTokens: 0, stopSequences: [], metadata: null },
      reply: { kind: "whole", render: ({ usage }) => ({ body: { inputTokens: usage.inputTokens } }) },
    };
  };
}
