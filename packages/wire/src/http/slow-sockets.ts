/** Connections that say too little for too long, so that nobody can hold all there are by opening them. */
import { constants, type Http2Session, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";

export interface SocketBounds {
  /** A connection has this long to begin, and then to send its first headers. Milliseconds. */
  readonly headersMs: number;
  /** A request has this long to arrive whole. Milliseconds. */
  readonly requestMs: number;
  /** A session of HTTP/2 without an open request is closed after this, whatever it sends. Milliseconds. */
  readonly idleMs: number;
  /** How often connections of HTTP/1.1 are looked at. Milliseconds. */
  readonly checkEveryMs: number;
}

/** As long as the programs of a deployment give their callers; idle sessions longer than any client keeps one. */
export const SOCKET_BOUNDS: SocketBounds = {
  headersMs: 10_000,
  requestMs: 30_000,
  idleMs: 600_000,
  checkEveryMs: 5_000,
};

/** Closes a session of HTTP/2 that brings no request, and resets the requests of one that do not arrive. */
export function boundSession(
  session: ServerHttp2Session,
  { headersMs, requestMs, idleMs }: SocketBounds,
): void {
  let open = 0;
  let idle = setTimeout(() => session.destroy(), headersMs);
  session.on("stream", (stream: ServerHttp2Stream) => {
    open += 1;
    clearTimeout(idle);
    const slow = setTimeout(() => stream.close(constants.NGHTTP2_CANCEL), requestMs);
    stream.once("end", () => clearTimeout(slow));
    stream.once("close", () => {
      clearTimeout(slow);
      open -= 1;
      if (open === 0 && !session.destroyed) idle = setTimeout(() => end(session), idleMs);
    });
  });
  session.once("close", () => clearTimeout(idle));
}

/** Says that it goes, so that a client sends its next request over another session. */
function end(session: Http2Session): void {
  session.close();
}
