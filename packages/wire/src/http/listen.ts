/**
 * HTTP/1.1 and HTTP/2 in the clear on one port. The AWS SDK's default handler opens with the HTTP/2 preface and
 * no upgrade, so the first bytes tell the two apart.
 */
import { createServer as createHttp1 } from "node:http";
import { createServer as createHttp2, type Http2Session } from "node:http2";
import { createServer as createTcp, type Socket } from "node:net";
import type { WireRequest, WireResponse } from "./exchange.ts";
import { boundSession, SOCKET_BOUNDS, type SocketBounds } from "./slow-sockets.ts";

/** Handles one request of either protocol. `socket` is the TCP connection that carries it. */
export type RequestListener = (request: WireRequest, response: WireResponse, socket: Socket) => void;

/** A listening port. */
export interface Port {
  readonly url: string;
  /** Stops listening and cuts every open connection. */
  close(): Promise<void>;
}

const HTTP2_PREFACE = "PRI";

/** Longer than any client keeps an idle connection: closing first would race with its next request. */
const KEEP_ALIVE_MS = 120_000;

/** Listens. `port` 0 takes a free one. */
export async function listen(
  host: string,
  port: number,
  listener: RequestListener,
  bounds: SocketBounds = SOCKET_BOUNDS,
): Promise<Port> {
  const sockets = new Set<Socket>();
  const socketOfSession = new WeakMap<Http2Session, Socket>();
  const http1 = createHttp1(
    {
      keepAliveTimeout: KEEP_ALIVE_MS,
      noDelay: true,
      headersTimeout: bounds.headersMs,
      requestTimeout: bounds.requestMs,
      connectionsCheckingInterval: bounds.checkEveryMs,
    },
    (request, response) => listener(request, response, request.socket),
  );
  // It never listens itself, and node:http begins to look for slow connections when it does.
  http1.emit("listening");
  const http2 = createHttp2((request, response) => {
    const { session } = request.stream;
    const socket = session === undefined ? undefined : socketOfSession.get(session);
    // A session that is already closed can neither be answered nor broken.
    if (socket !== undefined) listener(request, response, socket);
  });
  http1.on("clientError", (_error, socket) => socket.destroy());
  http2.on("session", (session) => boundSession(session, bounds));
  http2.on("sessionError", () => {
    // A client that breaks the protocol loses its session; http2 has already closed it.
  });

  const tcp = createTcp({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => socket.destroy());
    const silent = setTimeout(() => socket.destroy(), bounds.headersMs);
    socket.once("close", () => clearTimeout(silent));
    let head: Buffer = Buffer.alloc(0);
    const look = (chunk: Buffer): void => {
      head = head.length === 0 ? chunk : Buffer.concat([head, chunk]);
      if (head.length < HTTP2_PREFACE.length) return;
      clearTimeout(silent);
      socket.off("data", look);
      socket.pause();
      if (head.subarray(0, HTTP2_PREFACE.length).toString("latin1") === HTTP2_PREFACE) {
        // The session is announced while `emit` runs, so the one that arrives then belongs to this socket.
        const remember = (session: Http2Session): void => void socketOfSession.set(session, socket);
        http2.on("session", remember);
        http2.emit("connection", socket);
        http2.off("session", remember);
      } else {
        http1.emit("connection", socket);
      }
      socket.unshift(head);
      socket.resume();
    };
    socket.on("data", look);
  });

  const { promise, resolve, reject } = Promise.withResolvers<void>();
  tcp.once("error", reject);
  tcp.listen(port, host, resolve);
  await promise;
  tcp.on("error", () => {
    // Out of file descriptors: that connection is lost, the next one may find one free.
  });
  const address = tcp.address();
  if (address === null || typeof address === "string") throw new Error("Expected a TCP address.");
  const name = address.family === "IPv6" ? `[${address.address}]` : address.address;

  return {
    url: `http://${name}:${address.port}`,
    close: async () => {
      const closed = Promise.withResolvers<void>();
      tcp.close(() => closed.resolve());
      for (const socket of sockets) socket.destroy();
      http1.close();
      http2.close();
      await closed.promise;
    },
  };
}
