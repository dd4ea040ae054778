/** The body of Converse and ConverseStream: what it may hold, and what the service refuses about it. */
import { z } from "zod";
import { invalid } from "@sluice/wire";
import { countTokens, TOKENS_PER_IMAGE } from "../answer/tokens.ts";
import type { Model } from "../models/model.ts";
import type { ModelRequest, PromptPart } from "./model-request.ts";

/** A content block, as far as it matters here. */
interface ContentBlock {
  readonly text?: string | undefined;
  readonly image?: object | undefined;
  readonly guardContent?: { text?: { text?: string | undefined } | undefined } | undefined;
  readonly toolResult?: { content?: { text?: string | undefined }[] | undefined } | undefined;
  readonly cachePoint?: object | undefined;
}

/** The part of the body that says what the prompt is; CountTokens takes it too. */
export interface Conversation {
  readonly messages: readonly { role: "user" | "assistant"; content: readonly ContentBlock[] }[];
  readonly system?: readonly ContentBlock[] | null | undefined;
  readonly toolConfig?: { tools?: unknown[] | null | undefined } | null | undefined;
}

/** A parsed Converse body. */
export interface ConverseBody extends Conversation {
  readonly inferenceConfig?:
    | { maxTokens?: number | null | undefined; stopSequences?: string[] | null | undefined }
    | null
    | undefined;
  readonly requestMetadata?: Record<string, string> | null | undefined;
  readonly performanceConfig?: { latency: string } | null | undefined;
  readonly serviceTier?: { type: string } | null | undefined;
}

const object = z.looseObject({});
const textMember = z.looseObject({ text: z.string().optional() });

const contentBlockSchema = z.looseObject({
  text: z.string().optional(),
  image: object.optional(),
  guardContent: z.looseObject({ text: textMember.optional() }).optional(),
  toolResult: z.looseObject({ content: z.array(textMember).optional() }).optional(),
  cachePoint: object.optional(),
});

const conversation = {
  messages: z
    .array(z.looseObject({ role: z.enum(["user", "assistant"]), content: z.array(contentBlockSchema) }))
    .default([]),
  system: z.array(contentBlockSchema).nullish(),
  toolConfig: z.looseObject({ tools: z.array(z.unknown()).nullish() }).nullish(),
};

/** The schema of {@link Conversation}. */
export const conversationSchema: z.ZodType<Conversation> = z.looseObject(conversation);

/** The schema of {@link ConverseBody}. */
export const converseBodySchema: z.ZodType<ConverseBody> = z.looseObject({
  ...conversation,
  inferenceConfig: z
    .looseObject({
      maxTokens: z.int().min(1).nullish(),
      temperature: z.number().min(0).max(1).nullish(),
      topP: z.number().min(0).max(1).nullish(),
      stopSequences: z.array(z.string().min(1)).max(2_500).nullish(),
    })
    .nullish(),
  requestMetadata: z.record(z.string(), z.string()).nullish(),
  performanceConfig: z.looseObject({ latency: z.enum(["standard", "optimized"]) }).nullish(),
  serviceTier: z.looseObject({ type: z.enum(["default", "priority", "flex", "reserved"]) }).nullish(),
});

/**
 * What the model is asked to do.
 * @throws ServiceError ValidationException with the sentence the service gives.
 */
export function readConverse(body: ConverseBody, model: Model): ModelRequest {
  if (model.kind !== "text") {
    throw invalid(
      "This action doesn't support the model that you provided. Try again with a supported text or chat model.",
    );
  }
  checkConversation(body);
  const maxTokens = body.inferenceConfig?.maxTokens ?? model.maxOutputTokens;
  if (maxTokens > model.maxOutputTokens) {
    throw invalid(
      `The maximum tokens you requested exceeds the model limit of ${model.maxOutputTokens}. ` +
        `Try again with a maximum tokens value that is lower than ${model.maxOutputTokens}.`,
    );
  }
  return {
    parts: promptParts(body),
    maxTokens,
    stopSequences: body.inferenceConfig?.stopSequences ?? [],
    metadata: body.requestMetadata ?? null,
  };
}

/** The prompt in the order the model sees it: tools, system, messages. */
export function promptParts(body: Conversation): PromptPart[] {
  const tools = body.toolConfig?.tools ?? [];
  const toolPart: PromptPart[] =
    tools.length === 0 ? [] : [{ kind: "hidden", tokens: countTokens(JSON.stringify(tools)) }];
  const blocks = [...(body.system ?? []), ...body.messages.flatMap((message) => message.content)];
  return [...toolPart, ...blocks.flatMap(partsOf)];
}

function partsOf(block: ContentBlock): PromptPart[] {
  if (block.text !== undefined) return [{ kind: "text", text: block.text }];
  if (block.guardContent?.text?.text !== undefined)
    return [{ kind: "text", text: block.guardContent.text.text }];
  if (block.cachePoint !== undefined) return [{ kind: "cache-point" }];
  if (block.image !== undefined) return [{ kind: "hidden", tokens: TOKENS_PER_IMAGE }];
  if (block.toolResult !== undefined) {
    return (block.toolResult.content ?? []).map(({ text = "" }) => ({ kind: "text", text }));
  }
  return [{ kind: "hidden", tokens: countTokens(JSON.stringify(block)) }];
}

/** @throws ServiceError ValidationException for a conversation that no model takes. */
export function checkConversation({ messages }: Conversation): void {
  if (messages[0]?.role !== "user") {
    throw invalid(
      "A conversation must start with a user message. Try again with a conversation that starts with a user message.",
    );
  }
  for (const [index, message] of messages.entries()) {
    if (message.content.length === 0) {
      throw invalid(
        `The content field in the Message object at messages.${index} is empty. ` +
          "Add a ContentBlock object to the content field and try again.",
      );
    }
    const blank = message.content.findIndex((block) => block.text?.trim() === "");
    if (blank !== -1) {
      throw invalid(
        `The text field in the ContentBlock object at messages.${index}.content.${blank} is blank. ` +
          "Add text to the text field, and try again.",
      );
    }
  }
}
