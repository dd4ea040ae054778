/** An endpoint that plays one answer, and a caller of it, both for one test. */
import { onTestFinished } from "vitest";
import type { BedrockCaller } from "../src/index.ts";
import { startEndpoint, type Endpoint } from "./endpoint.ts";
import { open } from "./kinds.ts";

export interface Serving {
  readonly endpoint: Endpoint;
  readonly bedrock: BedrockCaller;
}

export async function serving(answer: Parameters<typeof startEndpoint>[0]): Promise<Serving> {
  const endpoint = await startEndpoint(answer);
  const bedrock = open(endpoint.url);
  onTestFinished(async () => {
    bedrock.close();
    await endpoint[Symbol.asyncDispose]();
  });
  return { endpoint, bedrock };
}
