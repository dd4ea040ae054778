/** Embeddings: Titan takes one text, Cohere a list. The vector follows from the text alone. */
import { z } from "zod";
import { countTokens } from "../answer/tokens.ts";
import type { PromptPart } from "./model-request.ts";
import { hashText, seeded } from "../random.ts";
import type { BodyFormat } from "./body-format.ts";
import { checkModelBody } from "./check.ts";

const titanSchema = z.looseObject({
  inputText: z.string().min(1),
  dimensions: z.union([z.literal(256), z.literal(512), z.literal(1_024)]).default(1_024),
});

const cohereSchema = z.looseObject({
  texts: z.array(z.string().min(1)).min(1).max(96),
  input_type: z.enum(["search_document", "search_query", "classification", "clustering"]),
});

const COHERE_DIMENSIONS = 1_024;

/** Bodies of Titan Text Embeddings. */
export const titanEmbeddingFormat: BodyFormat = {
  read: (body) => {
    const { inputText, dimensions } = checkModelBody(titanSchema, body);
    return {
      request: inputOnly([inputText]),
      whole: () => ({ embedding: embed(inputText, dimensions), inputTextTokenCount: countTokens(inputText) }),
    };
  },
};

/** Bodies of Cohere Embed. */
export const cohereEmbeddingFormat: BodyFormat = {
  read: (body) => {
    const { texts } = checkModelBody(cohereSchema, body);
    return {
      request: inputOnly(texts),
      whole: () => ({
        id: hashText(texts.join("\n")).toString(16),
        response_type: "embeddings_floats",
        texts,
        embeddings: texts.map((text) => embed(text, COHERE_DIMENSIONS)),
      }),
    };
  },
};

function inputOnly(texts: readonly string[]): {
  parts: PromptPart[];
  maxTokens: number;
  stopSequences: string[];
  metadata: null;
} {
  return {
    parts: texts.map((text) => ({ kind: "text", text })),
    maxTokens: 0,
    stopSequences: [],
    metadata: null,
  };
}

/** A vector of length 1. Texts that share words point the same way, so that a search finds something. */
function embed(text: string, dimensions: number): number[] {
  const vector = Array.from({ length: dimensions }, () => 0);
  for (const word of text.toLowerCase().match(/\p{L}+/gu) ?? [text]) {
    const random = seeded(hashText(word));
    for (let index = 0; index < dimensions; index += 1) vector[index] = (vector[index] ?? 0) + random() - 0.5;
  }
  const length = Math.hypot(...vector);
  return vector.map((component) => component / length);
}
