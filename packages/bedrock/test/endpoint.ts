/** An endpoint that answers every request with the same bytes, or breaks: what the simulator has no reason to do. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { text } from "node:stream/consumers";

export interface Endpoint extends AsyncDisposable {
  readonly url: string;
  /** Bodies of the requests seen so far. */
  readonly bodies: unknown[];
  readonly headers: IncomingMessage["headers"][];
}

/** Starts an endpoint on a free port of the loopback. */
export async function startEndpoint(
  answer: (response: ServerResponse, request: IncomingMessage) => void,
): Promise<Endpoint> {
  const bodies: unknown[] = [];
  const headers: IncomingMessage["headers"][] = [];
  const server = createServer((request, response) => {
    headers.push(request.headers);
    void (async () => {
      const body = await text(request);
      bodies.push(body === "" ? undefined : JSON.parse(body));
      answer(response, request);
    })();
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("Expected the server to have a port");
  const { port } = address;
  return {
    url: `http://127.0.0.1:${port}`,
    bodies,
    headers,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => {
        server.close(resolve);
      });
    },
  };
}

/** An error as the service sends it. Without a name, only a status. */
export function sendError(
  response: ServerResponse,
  status: number,
  name?: string,
  body: object = { message: "Said so" },
  headers: Record<string, string> = {},
): void {
  const type = name && { "x-amzn-errortype": `${name}:http://internal.amazon.com/coral/com.amazon.bedrock/` };
  response.writeHead(status, {
    "content-type": "application/json",
    "x-amzn-requestid": "r-7",
    ...type,
    ...headers,
  });
  response.end(name === undefined ? undefined : JSON.stringify(body));
}

/** A complete answer of Converse. */
export function sendAnswer(response: ServerResponse, changes: object = {}): void {
  response.writeHead(200, { "content-type": "application/json", "x-amzn-requestid": "r-7" });
  response.end(JSON.stringify({ ...ANSWER, ...changes }));
}

export const ANSWER = {
  output: { message: { role: "assistant", content: [{ text: "Hello" }, { text: " there" }] } },
  stopReason: "end_turn",
  usage: {
    inputTokens: 7,
    outputTokens: 3,
    totalTokens: 10,
    cacheReadInputTokens: 2,
    cacheWriteInputTokens: 1,
  },
  metrics: { latencyMs: 12 },
};
