/** Every kind of call with the least it takes, so that one table of faults can be run over all of them. */
import type { BedrockCaller, CallResult, PollResult, StartResult } from "../src/index.ts";
import { createBedrock, type BedrockOptions } from "../src/index.ts";

export const CREDENTIALS = { accessKeyId: "test", secretAccessKey: "test" };

/** In every prompt, and in no failure. */
export const SECRET = "Rumpelstiltskin";

const CLAUDE = "us.anthropic.claude-sonnet-4-6-v1:0";
const REEL = "amazon.nova-reel-v1:1";
const PROMPT = `Write a long letter about rivers to ${SECRET}.`;

export interface Given {
  readonly timeoutMs: number;
  readonly jobId: string;
  /** Of an invocation that the simulator knows. */
  readonly invocationArn: string;
  readonly onText: (text: string) => void;
}

export interface Kind {
  /** Its name at Bedrock. */
  readonly operation: string;
  readonly make: (bedrock: BedrockCaller, given: Given) => Promise<CallResult | StartResult | PollResult>;
}

const signal = new AbortController().signal;
const messages = [{ role: "user" as const, content: [{ text: PROMPT }] }];
const body = {
  anthropic_version: "bedrock-2023-05-31",
  max_tokens: 400,
  messages: [{ role: "user", content: PROMPT }],
};

export const kinds = {
  converse: {
    operation: "Converse",
    make: async (bedrock, given) =>
      bedrock.converse({ ...given, model: CLAUDE, request: { messages, maxTokens: 400 }, signal }),
  },
  stream: {
    operation: "ConverseStream",
    make: async (bedrock, given) =>
      bedrock.stream({ ...given, model: CLAUDE, request: { messages, maxTokens: 400 }, signal }),
  },
  invoke: {
    operation: "InvokeModel",
    make: async (bedrock, given) => {
      const request = { body, maxTokens: 400, stream: false };
      return bedrock.invoke({ ...given, model: CLAUDE, request, signal });
    },
  },
  invokeStream: {
    operation: "InvokeModelWithResponseStream",
    make: async (bedrock, given) => {
      const request = { body, maxTokens: 400, stream: true };
      return bedrock.invoke({ ...given, model: CLAUDE, request, signal });
    },
  },
  startAsync: {
    operation: "StartAsyncInvoke",
    make: async (bedrock, given) => {
      const modelInput = { taskType: "TEXT_VIDEO", textToVideoParams: { text: PROMPT } };
      const request = { modelInput, outputS3Uri: "s3://bucket/prefix" };
      return bedrock.startAsync({ ...given, model: REEL, request, signal });
    },
  },
  pollAsync: {
    operation: "GetAsyncInvoke",
    make: async (bedrock, given) => bedrock.pollAsync({ ...given, signal }),
  },
} satisfies Record<string, Kind>;

/** A caller of an endpoint on the loopback. The test closes it. */
export function open(url: string, options: Partial<BedrockOptions> = {}): BedrockCaller {
  return createBedrock({
    region: "us-east-1",
    endpoint: url,
    credentials: CREDENTIALS,
    maxConnections: 4,
    clock: Date.now,
    ...options,
  });
}
