/** Calls to Bedrock, each made once and never retried here: every request is one the quota has admitted. */
import { factsOf, type Clock } from "@sluice/job";
import { pollAsync, startAsync } from "./calls/async-invoke.ts";
import { renewIdentity } from "./calls/call.ts";
import type { BedrockCaller } from "./bedrock-caller.ts";
import { converse } from "./calls/converse.ts";
import { countTokens } from "./calls/count-tokens.ts";
import { withoutEchoes } from "./failures/echo.ts";
import { invokeStream } from "./calls/invoke-stream.ts";
import { invoke } from "./calls/invoke.ts";
import { createClient, type ClientOptions } from "./sdk/sdk-client.ts";
import { stream } from "./calls/stream.ts";

export interface BedrockOptions extends ClientOptions {
  readonly clock: Clock;
}

/** Opens a client for one account in one Region. It connects with the first call; the owner calls `close`. */
export function createBedrock({ clock, ...options }: BedrockOptions): BedrockCaller {
  const client = createClient(options);
  const caller: BedrockCaller = {
    async call({ work, silenceMs, onText, ...bounds }) {
      const streamed = { ...bounds, onText, ...(factsOf(work).isStreamed ? { silenceMs } : {}) };
      switch (work.kind) {
        case "converse":
          return caller.converse({ ...bounds, request: work.request });
        case "stream":
          return caller.stream({ ...streamed, request: work.request });
        case "invoke":
          return caller.invoke({ ...streamed, request: work.request });
        case "async":
          return caller.startAsync({ ...bounds, request: work.request });
      }
    },
    converse: async (call) => withoutEchoes(await converse(client, clock, call), call.request),
    stream: async (call) => withoutEchoes(await stream(client, clock, call), call.request),
    invoke: async (call) => {
      const made = (call.request.stream ? invokeStream : invoke)(client, clock, call);
      return withoutEchoes(await made, call.request);
    },
    startAsync: async (call) => withoutEchoes(await startAsync(client, clock, call), call.request),
    pollAsync: async (call) => pollAsync(client, clock, call),
    countTokens: async (call) => countTokens(client, clock, call),
    renewIdentity: async () => renewIdentity(client, clock),
    close: () => client.destroy(),
  };
  return caller;
}
