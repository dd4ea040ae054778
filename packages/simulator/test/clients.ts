/** The real SDK client against a simulator of this process, over either protocol. */
import { BedrockRuntimeClient, type ConverseCommandInput } from "@aws-sdk/client-bedrock-runtime";
import { NodeHttpHandler } from "@smithy/node-http-handler";

export const transports = ["HTTP/2", "HTTP/1.1"] as const;
export type Transport = (typeof transports)[number];

export interface ClientOptions {
  readonly transport?: Transport;
  readonly maxAttempts?: number;
  readonly region?: string;
}

export function createClient(url: string, options: ClientOptions = {}): BedrockRuntimeClient {
  return new BedrockRuntimeClient({
    endpoint: url,
    region: options.region ?? "us-east-1",
    credentials: { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "secret" },
    // A machine may have an API key in its environment, which would win over the credentials above.
    authSchemePreference: ["sigv4"],
    maxAttempts: options.maxAttempts ?? 1,
    ...(options.transport === "HTTP/1.1" && { requestHandler: new NodeHttpHandler({}) }),
  });
}

/** A Converse request with one user message. */
export function ask(
  modelId: string,
  text: string,
  rest: Omit<ConverseCommandInput, "modelId" | "messages"> = {},
): ConverseCommandInput {
  return { modelId, messages: [{ role: "user", content: [{ text }] }], ...rest };
}
