/** Listening on HTTP, on loopback unless an operator has said otherwise. */
import { once } from "node:events";
import { createServer, type RequestListener, type Server } from "node:http";

/** A caller has this long to send its headers, and its whole request. Milliseconds. */
const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 30_000;

/** How often those who are late are looked for: by itself Node takes half a minute. Milliseconds. */
const CHECK_EVERY_MS = 5_000;

const LOOPBACK = new Set(["127.0.0.1", "::1", "localhost"]);

/**
 * Refuses an address that strangers can reach while nobody is asked who they are.
 * @throws Error saying what to set.
 */
export function assertReachable(host: string, allowUnauthenticated: boolean): void {
  if (LOOPBACK.has(host) || allowUnauthenticated) return;
  throw new Error(
    `HOST is ${host}, but this program does not ask its callers who they are and listens on loopback only. ` +
      `Set HOST to 127.0.0.1, or SLUICE_ALLOW_UNAUTHENTICATED=true when something in front of it checks them`,
  );
}

/** Connections that a program has open at a time by default: far more than its callers, and no memory to speak of. */
export const MOST_CONNECTIONS = 4_000;

export interface HttpServerOptions {
  /** Connections open at a time. One beyond is closed as it comes, and those that are open go on. Default 4,000. */
  readonly maxConnections?: number | undefined;
  /** Hears of each that was closed so. Default: nobody. */
  readonly onError?: (error: Error) => void;
}

export function httpServer(
  handler: RequestListener,
  { maxConnections = MOST_CONNECTIONS, onError }: HttpServerOptions = {},
): Server {
  const headersTimeout = HEADERS_TIMEOUT_MS;
  const requestTimeout = REQUEST_TIMEOUT_MS;
  const server = createServer(
    { headersTimeout, requestTimeout, connectionsCheckingInterval: CHECK_EVERY_MS },
    handler,
  );
  server.maxConnections = maxConnections;
  // A socket that has been reset knows no address any more, but for one that was asked for before: who asked is on record.
  server.on("connection", ({ remoteAddress }) => void remoteAddress);
  server.on("drop", () =>
    onError?.(new Error(`Refused a connection: ${maxConnections} are open (SLUICE_MAX_CONNECTIONS)`)),
  );
  return server;
}

/** Resolves to the server's URL. Rejects when the address is taken. Port 0 takes any free port. */
export async function listen(server: Server, host: string, port: number): Promise<string> {
  server.listen(port, host);
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("Expected the server to have a port");
  const name = address.family === "IPv6" ? `[${address.address}]` : address.address;
  return `http://${name}:${address.port}`;
}

/** How often connections that have had their answer are closed while the server closes. Milliseconds. */
const CLOSE_IDLE_EVERY_MS = 20;

/** How long an answer under way may take once the server closes. Milliseconds. */
const CLOSE_GRACE_MS = 5_000;

/**
 * Answers what was asked, then closes. A caller that keeps its connection open cannot hold the server: what it asks
 * from now on is answered too, and ends the connection.
 */
export async function closeServer(server: Server): Promise<void> {
  if (!server.listening) return;
  const closed = once(server, "close");
  server.prependListener("request", (_request, response) => response.setHeader("connection", "close"));
  server.close();
  const idle = setInterval(() => server.closeIdleConnections(), CLOSE_IDLE_EVERY_MS);
  // A streamed answer would hold the server for as long as it likes.
  const cut = setTimeout(() => server.closeAllConnections(), CLOSE_GRACE_MS);
  await closed.finally(() => {
    clearInterval(idle);
    clearTimeout(cut);
  });
}
