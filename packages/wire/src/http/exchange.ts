/** One request and its response, the same for both protocols. */
import { randomUUID } from "node:crypto";
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from "node:http";
import type { Socket } from "node:net";

/** The part of a request that node:http and node:http2 have in common. */
export interface WireRequest extends AsyncIterable<Buffer> {
  readonly method?: string | undefined;
  readonly url?: string | undefined;
  readonly headers: IncomingHttpHeaders;
}

/** The part of a response that node:http and node:http2 have in common. */
export interface WireResponse {
  readonly headersSent: boolean;
  readonly writableEnded: boolean;
  writeHead(status: number, headers: OutgoingHttpHeaders): unknown;
  write(bytes: Uint8Array): boolean;
  end(): unknown;
  end(text: string): unknown;
  destroy(): unknown;
  on(event: "close" | "error", listener: () => void): unknown;
}

/** What a handler needs of a request, and how it answers. */
export interface Exchange {
  readonly requestId: string;
  readonly method: string;
  /** Still percent-encoded, without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  /** Aborts when the client has gone before the response was complete. */
  readonly signal: AbortSignal;
  readonly response: WireResponse;
  /** The TCP connection below, for faults that break it. */
  readonly socket: Socket;
}

/** Wraps a request; `socket` is the one that carries it. */
export function openExchange(request: WireRequest, response: WireResponse, socket: Socket): Exchange {
  const [path = "/", query = ""] = (request.url ?? "/").split("?", 2);
  const gone = new AbortController();
  response.on("close", () => {
    if (!response.writableEnded) gone.abort();
  });
  // A reset while the answer is being written is the client's business; `close` follows.
  response.on("error", () => gone.abort());
  return {
    requestId: randomUUID(),
    method: request.method ?? "GET",
    path,
    query: new URLSearchParams(query),
    headers: request.headers,
    signal: gone.signal,
    response,
    socket,
  };
}

/** Sends a complete JSON response. */
export function sendJson(
  exchange: Exchange,
  status: number,
  body: unknown,
  headers: OutgoingHttpHeaders = {},
): void {
  if (exchange.signal.aborted) return;
  // As text: node:http then sends head and body in one write.
  const text = JSON.stringify(body);
  exchange.response.writeHead(status, {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(text),
    ...headers,
  });
  exchange.response.end(text);
}

/** Sends a page as a proxy in front of the service would: no request id, no JSON. */
export function sendHtml(exchange: Exchange, status: number): void {
  if (exchange.signal.aborted) return;
  exchange.response.writeHead(status, { "content-type": "text/html" });
  exchange.response.end(`<html><body><h1>${status} Service Unavailable</h1></body></html>\n`);
}

/**
 * Reads the body, keeping at most `limit` bytes.
 * @returns undefined when it was longer; the rest has been read and thrown away, so that the client can hear why.
 */
export async function readBody(request: WireRequest, limit: number): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request) {
    length += chunk.length;
    if (length <= limit) chunks.push(chunk);
    else chunks.length = 0;
  }
  if (length > limit) return undefined;
  return chunks.length === 1 ? chunks[0] : Buffer.concat(chunks);
}
