/** A streamed answer as server-sent events, while it is written or afterwards. */
import { once } from "node:events";
import type { Socket } from "node:net";
import type { Response } from "express";

/** One event of a job's text. `id` is where a reader can go on after. */
export interface StreamEvent {
  readonly id: string;
  readonly type: string;
}

/** A comment now and then keeps proxies from closing a stream in which the model thinks. */
const KEEP_ALIVE_MS = 15_000;

/** How soon a reader comes back once its stream has ended before the job, milliseconds. */
const COME_BACK_MS = 1_000;

/** How long the end of a stream may take to arrive, milliseconds. */
const LAST_WORDS_MS = 2_000;

/**
 * Sends the events until the last, until the caller leaves, or until `over` fires: then the caller comes back with the
 * last id it has seen. Rejects only before the first byte: afterwards a broken stream is all that can be said.
 */
export async function sendStream(
  response: Response,
  over: AbortSignal,
  events: (signal: AbortSignal) => AsyncIterable<StreamEvent>,
): Promise<void> {
  const { socket } = response.req;
  response.set({ "content-type": "text/event-stream", "x-accel-buffering": "no" });
  response.flushHeaders();
  response.write(`retry: ${COME_BACK_MS}\n\n`);
  const keepAlive = setInterval(() => response.write(": still here\n\n"), KEEP_ALIVE_MS);
  const stop = AbortSignal.any([goneOf(socket), over]);
  try {
    for await (const { id, type, ...data } of events(stop)) {
      const hasRoom = response.write(`id: ${id}\nevent: ${type}\ndata: ${JSON.stringify(data)}\n\n`);
      // A caller that does not read is not read for: what it leaves would pile up here.
      if (!hasRoom) await once(response, "drain", { signal: stop });
    }
    response.end();
  } catch {
    if (!over.aborted) {
      response.destroy();
      return;
    }
    response.end();
    // One that does not read would keep its connection for ever.
    const cut = setTimeout(() => response.destroy(), LAST_WORDS_MS);
    response.once("close", () => clearTimeout(cut));
  } finally {
    clearInterval(keepAlive);
  }
}

const gone = new WeakMap<Socket, AbortSignal>();

/**
 * Fires when the connection has gone, at once when it went before. Node tells the answer under way alone: not one that waits
 * behind it on the same connection, nor one that begins after the end.
 */
function goneOf(socket: Socket): AbortSignal {
  const known = gone.get(socket);
  if (known !== undefined) return known;
  const left = new AbortController();
  if (socket.destroyed) left.abort();
  else socket.once("close", () => left.abort());
  gone.set(socket, left.signal);
  return left.signal;
}
