/**
 * What the parts of Sluice have to know of a request by its kind, in one place. It loads no schemas, so that a request can be
 * sized without them.
 */
import type { ConverseRequest, InvokeRequest, JobKind, JobRequest } from "./request.ts";

/** What can be sized: a conversation, or a body in a model's own format. */
export type SizedRequest =
  | Pick<ConverseRequest, "messages" | "system" | "maxTokens">
  | Pick<InvokeRequest, "body" | "maxTokens">;

export interface RequestFacts {
  /** What access is about, beside the model: an account may be allowed one of them and not another. */
  readonly operation: string;
  /** Whether the answer is readable while it is written. */
  readonly isStreamed: boolean;
  /** The part whose length is its cost. `undefined`: Bedrock counts its start as a request, and no tokens. */
  readonly sized: SizedRequest | undefined;
  /** Where the answer is written, if it is not returned. */
  readonly outputS3Uri: string | undefined;
  /** What its caller says first, in the order of the request; `undefined` where only the model knows which text that is. */
  readonly opening: string | undefined;
}

export function factsOf(work: JobRequest): RequestFacts {
  switch (work.kind) {
    case "converse":
      return { ...ofConversation(work.request), operation: "converse", isStreamed: false };
    case "stream":
      return { ...ofConversation(work.request), operation: "stream", isStreamed: true };
    case "invoke":
      return {
        operation: work.request.stream ? "invoke-stream" : "invoke",
        isStreamed: work.request.stream,
        sized: work.request,
        outputS3Uri: undefined,
        opening: undefined,
      };
    case "async":
      return {
        operation: "async",
        isStreamed: false,
        sized: undefined,
        outputS3Uri: work.request.outputS3Uri,
        opening: undefined,
      };
  }
}

/** The texts of a request that are no prompt, by their JSON pointers: who speaks, and where an answer goes. */
export const OPEN_TEXTS: Readonly<Record<JobKind, RegExp | undefined>> = {
  converse: /^\/messages\/\d+\/role$/,
  stream: /^\/messages\/\d+\/role$/,
  invoke: undefined,
  async: /^\/outputS3Uri$/,
};

function ofConversation(request: ConverseRequest): Omit<RequestFacts, "operation" | "isStreamed"> {
  const [first] = request.messages;
  const opening = first?.content.map(({ text }) => text).join(" ");
  return { sized: request, outputS3Uri: undefined, opening };
}
