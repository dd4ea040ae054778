/** How many tokens a text or a request has, judged by its length. Pure. */
import type { ConverseRequest, InvokeRequest } from "@sluice/job";

/**
 * Characters per token, by how many bytes UTF-8 needs for the character. Tokenisers of current models are not
 * published; English prose and code have 3.5 to 4.5 characters per token, Cyrillic and Greek about 2, Chinese and
 * Japanese about 1, and an emoji takes several tokens. The lower end is used: an estimate that is too high is
 * returned at settlement, one that is too low is a throttle.
 */
const CHARACTERS_PER_TOKEN = { ascii: 3.5, twoBytes: 2, threeBytes: 1 } as const;

/** Roles and separators that the model's own prompt format adds. */
const TOKENS_PER_MESSAGE = 5;

/** The most that one image costs any current model. */
const TOKENS_PER_IMAGE = 1_600;

/** Shorter ones are ids and keys. */
const SHORTEST_IMAGE = 1_000;
const BASE64 = /^(?:data:[\w/+.-]+;base64,)?[A-Za-z0-9+/]+={0,2}$/;

/**
 * Estimates the input tokens of a request by its length. Never 0.
 * Within about 20 % for English; higher than the truth for most other text, and for native bodies, whose field
 * names count too. Long base64 in a body counts as an image.
 */
export function estimateInputTokens(
  request: Pick<ConverseRequest, "messages" | "system"> | Pick<InvokeRequest, "body">,
): number {
  const tokens = "body" in request ? bodyTokens(request.body) : conversationTokens(request);
  return Math.max(1, Math.ceil(tokens));
}

/** Tokens of a text, not rounded. Empty text is none. */
export function textTokens(text: string): number {
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

function conversationTokens({ messages, system }: Pick<ConverseRequest, "messages" | "system">): number {
  let tokens = system === undefined ? 0 : TOKENS_PER_MESSAGE + textTokens(system);
  for (const message of messages) {
    tokens += TOKENS_PER_MESSAGE;
    for (const block of message.content) tokens += textTokens(block.text);
  }
  return tokens;
}

function bodyTokens(body: InvokeRequest["body"]): number {
  let images = 0;
  const text = JSON.stringify(body, (_, value: unknown) => {
    if (typeof value !== "string" || value.length < SHORTEST_IMAGE || !BASE64.test(value)) return value;
    images += 1;
    return "";
  });
  return textTokens(text) + images * TOKENS_PER_IMAGE;
}
