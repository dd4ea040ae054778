/** Calls to Bedrock, each made once and never retried here: every request is one the quota has admitted. */
import type { Clock } from "@sluice/job";
import { pollAsync, startAsync } from "./async-invoke.ts";
import { renewIdentity } from "./attempt.ts";
import type { BedrockCaller } from "./caller.ts";
import { converse } from "./converse.ts";
import { countTokens } from "./count-tokens.ts";
import { withoutEchoes } from "./echo.ts";
import { invokeStream } from "./invoke-stream.ts";
import { invoke } from "./invoke.ts";
import { createClient, type ClientOptions } from "./sdk-client.ts";
import { stream } from "./stream.ts";

export interface BedrockOptions extends ClientOptions {
  readonly clock: Clock;
}

/** Opens a client for one account in one Region. It connects with the first call; the owner calls `close`. */
export function createBedrock({ clock, ...options }: BedrockOptions): BedrockCaller {
  const client = createClient(options);
  return {
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
}
