/** Reads a ConverseStream to its end, or to its break. */
import {
  type BedrockRuntimeClient,
  ConverseStreamCommand,
  type ConverseStreamOutput,
} from "@aws-sdk/client-bedrock-runtime";
import { ask } from "./clients.ts";

export interface Collected {
  readonly events: string[];
  readonly text: string;
  readonly last: ConverseStreamOutput | undefined;
  /** What the iterator threw, if it did. */
  readonly error: unknown;
}

export async function collect(
  client: BedrockRuntimeClient,
  modelId: string,
  text: string,
): Promise<Collected> {
  const { stream } = await client.send(
    new ConverseStreamCommand(ask(modelId, text, { inferenceConfig: { maxTokens: 400 } })),
  );
  const seen: ConverseStreamOutput[] = [];
  let error: unknown;
  try {
    for await (const event of stream ?? []) seen.push(event);
  } catch (thrown) {
    error = thrown;
  }
  return {
    events: seen.flatMap((event) => Object.keys(event)),
    text: seen.map((event) => event.contentBlockDelta?.delta?.text ?? "").join(""),
    last: seen.at(-1),
    error,
  };
}
