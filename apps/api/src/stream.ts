/** A streamed answer as server-sent events, while it is written or afterwards. */
import type { Response } from "express";

/** One event of a job's text. `id` is where a reader can go on after. */
export interface StreamEvent {
  readonly id: string;
  readonly type: string;
}

/** A comment now and then keeps proxies from closing a stream in which the model thinks. */
const KEEP_ALIVE_MS = 15_000;

/**
 * Sends the events until the last, or until the caller leaves. Rejects only before the first byte: afterwards a broken
 * stream is all that can be said, and the caller comes back with the last id it has seen.
 */
export async function sendStream(
  response: Response,
  events: (signal: AbortSignal) => AsyncIterable<StreamEvent>,
): Promise<void> {
  const left = new AbortController();
  response.on("close", () => left.abort());
  response.set({
    "content-type": "text/event-stream",
    "cache-control": "no-store",
    "x-accel-buffering": "no",
  });
  response.flushHeaders();
  const keepAlive = setInterval(() => response.write(": still here\n\n"), KEEP_ALIVE_MS);
  try {
    for await (const { id, type, ...data } of events(left.signal)) {
      response.write(`id: ${id}\nevent: ${type}\ndata: ${JSON.stringify(data)}\n\n`);
    }
    response.end();
  } catch {
    response.destroy();
  } finally {
    clearInterval(keepAlive);
  }
}
