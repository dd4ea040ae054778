/**
 * What a call will take from the quota, before it is made, and what it took, afterwards. Knows nothing of the SDK,
 * so that a producer can size a request without loading it.
 */
import type { ConverseRequest, Usage } from "@sluice/job";

/**
 * Characters per token, by how many bytes UTF-8 needs for the character. Tokenisers of current models are not
 * published; English prose and code have 3.5 to 4.5 characters per token, Cyrillic and Greek about 2, Chinese and
 * Japanese about 1, and an emoji takes several tokens. The lower end is used: an estimate that is too high is
 * returned at settlement, one that is too low is a throttle.
 */
const CHARACTERS_PER_TOKEN = { ascii: 3.5, twoBytes: 2, threeBytes: 1 } as const;

/** Roles and separators that the model's own prompt format adds. */
const TOKENS_PER_MESSAGE = 5;

/**
 * Estimates the input tokens of a request by its length. Never 0.
 * Within about 20 % for English; higher than the truth for most other text.
 */
export function estimateInputTokens(request: Pick<ConverseRequest, "messages" | "system">): number {
  let tokens = request.system === undefined ? 0 : TOKENS_PER_MESSAGE + textTokens(request.system);
  for (const message of request.messages) {
    tokens += TOKENS_PER_MESSAGE;
    for (const block of message.content) tokens += textTokens(block.text);
  }
  return Math.max(1, Math.ceil(tokens));
}

/** What Bedrock reserves when a call starts: its input and all the output it may write, without burndown. */
export interface Reservation {
  readonly inputTokens: number;
  /** Input and `maxTokens` together. */
  readonly tokens: number;
}

/** The reservation that a request will need. */
export function reservation(
  request: Pick<ConverseRequest, "messages" | "system" | "maxTokens">,
): Reservation {
  const inputTokens = estimateInputTokens(request);
  return { inputTokens, tokens: inputTokens + request.maxTokens };
}

/**
 * What a call cost in the end: input, cache writes, and output times the model's burndown. Cache reads are free.
 * May be more than was reserved.
 * @param burndown quota tokens per output token, as in the pools file.
 */
export function settled(usage: Usage, burndown: number): number {
  return Math.ceil(usage.inputTokens + usage.cacheWriteTokens + usage.outputTokens * burndown);
}

function textTokens(text: string): number {
  let ascii = 0;
  let twoBytes = 0;
  for (let i = 0; i < text.length; i += 1) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) ascii += 1;
    else if (unit < 0x800) twoBytes += 1;
  }
  // Characters beyond the basic plane are two units, so an emoji counts as two tokens.
  const threeBytes = text.length - ascii - twoBytes;
  return (
    ascii / CHARACTERS_PER_TOKEN.ascii +
    twoBytes / CHARACTERS_PER_TOKEN.twoBytes +
    threeBytes / CHARACTERS_PER_TOKEN.threeBytes
  );
}
