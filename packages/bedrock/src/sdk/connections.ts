/**
 * Requests over kept HTTP/1.1 connections. The SDK's own handler hides what decides about a broken call: whether a
 * byte of the request can have reached the server, and whether the connection had been lying idle before.
 *
 * HTTP/1.1 on purpose: the SDK's default, HTTP/2, opens a connection for each call and hides broken streams.
 */
import http from "node:http";
import https from "node:https";
import type { Socket } from "node:net";

/** What the wire of one request has seen so far. */
export interface Trace {
  /**
   * A byte of the request may have reached the server: a connection was there, and secured where it has to be. Until
   * then nothing was asked, and nothing is paid.
   */
  sent: boolean;
}

export interface HttpRequest {
  readonly protocol: string;
  readonly hostname: string;
  readonly port?: number;
  readonly method: string;
  readonly path: string;
  readonly query?: Readonly<Record<string, string | readonly string[] | null>>;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

export interface HttpResponse {
  readonly statusCode: number;
  readonly headers: Record<string, string>;
  readonly body: http.IncomingMessage;
}

export interface HttpOptions {
  readonly abortSignal?: unknown;
  readonly trace?: Trace;
}

/** What the SDK wants of a request handler. */
export interface Connections {
  readonly metadata: { readonly handlerProtocol: "http/1.1" };
  handle(request: HttpRequest, options?: HttpOptions): Promise<{ response: HttpResponse }>;
  destroy(): void;
  updateHttpClientConfig(): void;
  httpHandlerConfigs(): Record<string, never>;
}

/** A connection that is not there, and secured, by then is no connection. */
const CONNECT_MS = 5_000;

/**
 * An idle connection is not used after this. Below what load balancers and services close theirs after (mostly 60 s,
 * some 20), since a request that meets the closing half-way is lost. A shorter hint of the server's goes before.
 */
const IDLE_MS = 15_000;

/**
 * A whole answer is silent for as long as the model writes it, and NAT gateways drop what is silent for 350 s. So the
 * connection itself shows that it lives, this often.
 */
const PROBE_MS = 30_000;

/**
 * A server that had closed an idle connection says so a round trip after the request. One that breaks later may have
 * taken the request and worked on it: a whole answer has no byte before its end.
 */
const STALE_MS = 1_000;

/** @param maxConnections at least the number of concurrent calls, or calls wait unseen for a connection. */
export function createConnections(maxConnections: number): Connections {
  const options = { keepAlive: true, maxSockets: maxConnections, timeout: IDLE_MS };
  const agents = { http: new http.Agent(options), https: new https.Agent(options) };
  return {
    metadata: { handlerProtocol: "http/1.1" },
    async handle(request, { abortSignal, trace = { sent: false } } = {}) {
      const signal = abortSignal instanceof AbortSignal ? abortSignal : undefined;
      try {
        return { response: await exchange(agents, request, trace, signal) };
      } catch (error) {
        if (!(error instanceof StaleConnection)) throw error;
        // Its neighbours have been idle at least as long.
        dropIdle(agents);
        // Nobody has read the first request: from here on the second one is what counts.
        trace.sent = false;
        return { response: await exchange(agents, request, trace, signal) };
      }
    },
    destroy() {
      agents.http.destroy();
      agents.https.destroy();
    },
    // The client's settings for handlers it makes itself: this one has its own.
    updateHttpClientConfig() {},
    httpHandlerConfigs: () => ({}),
  };
}

interface Agents {
  readonly http: http.Agent;
  readonly https: https.Agent;
}

/** A kept connection broke as soon as it was used again, before a byte of the answer: the server had closed it while it was idle. */
class StaleConnection extends Error {}

async function exchange(
  agents: Agents,
  request: HttpRequest,
  trace: Trace,
  signal: AbortSignal | undefined,
): Promise<HttpResponse> {
  signal?.throwIfAborted();
  const isSecure = request.protocol === "https:";
  const outgoing = (isSecure ? https : http).request({
    agent: isSecure ? agents.https : agents.http,
    host: request.hostname.replace(/^\[(.+)\]$/, "$1"),
    port: request.port,
    method: request.method,
    path: request.path + queryOf(request),
    headers: request.headers,
  });
  let readBefore = 0;
  let sentAt = 0;
  let connecting: NodeJS.Timeout | undefined;
  const onSocket = (socket: Socket): void => {
    readBefore = socket.bytesRead;
    sentAt = performance.now();
    if (outgoing.reusedSocket) {
      trace.sent = true;
      return;
    }
    socket.setKeepAlive(true, PROBE_MS);
    connecting = setTimeout(() => outgoing.destroy(notConnected(isSecure)), CONNECT_MS);
    socket.once(isSecure ? "secureConnect" : "connect", () => {
      clearTimeout(connecting);
      trace.sent = true;
    });
  };
  outgoing.once("socket", onSocket);
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      reject(aborted());
      // Without an error: nobody may be left to hear it from the body.
      outgoing.destroy();
    };
    signal?.addEventListener("abort", onAbort, { once: true });
    outgoing.once("close", () => {
      clearTimeout(connecting);
      signal?.removeEventListener("abort", onAbort);
    });
    outgoing.on("error", (error: NodeJS.ErrnoException) => {
      const { socket, reusedSocket } = outgoing;
      const isStale =
        reusedSocket &&
        signal?.aborted !== true &&
        performance.now() - sentAt < STALE_MS &&
        (error.code === "ECONNRESET" || error.code === "EPIPE") &&
        (socket?.bytesRead ?? 0) === readBefore;
      reject(isStale ? new StaleConnection("Stale", { cause: error }) : error);
    });
    outgoing.once("response", (incoming) => {
      resolve({ statusCode: incoming.statusCode ?? 0, headers: joined(incoming.headers), body: incoming });
    });
    outgoing.end(request.body);
  });
}

function dropIdle(agents: Agents): void {
  for (const agent of [agents.http, agents.https]) {
    for (const sockets of Object.values(agent.freeSockets)) sockets?.forEach((socket) => socket.destroy());
  }
}

function notConnected(isSecure: boolean): Error {
  const error = new Error(`No ${isSecure ? "secure " : ""}connection within ${CONNECT_MS} ms`);
  return Object.assign(error, { code: "ETIMEDOUT", syscall: "connect" });
}

function aborted(): Error {
  return Object.assign(new Error("Aborted"), { name: "AbortError" });
}

function queryOf({ query = {} }: HttpRequest): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const each of typeof value === "string" || value === null ? [value ?? ""] : value) {
      search.append(name, each);
    }
  }
  // The signature counts a blank as %20.
  return search.size === 0 ? "" : `?${search.toString().replaceAll("+", "%20")}`;
}

function joined(headers: http.IncomingHttpHeaders): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, Array.isArray(value) ? value.join(", ") : value]],
    ),
  );
}
