/**
 * A network that misbehaves, between any client and any TCP server on loopback. Faults are set while it runs and hold
 * for connections that are open as well as for new ones.
 */
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

/** What happens to bytes. Left out: they pass. */
export interface Weather {
  /** Each piece comes so much later, milliseconds, in both directions. Order is kept. */
  readonly latencyMs?: number;
  /**
   * What is swallowed, silently. `requests`: the server hears nothing. `replies`: the server does what it is told,
   * and nobody hears of it. `both`: a cable that was pulled.
   */
  readonly lost?: "requests" | "replies" | "both";
  /**
   * What a new connection meets; open ones are reset when it begins. `closed`: nobody listens, it is refused.
   * `slammed`: it is taken and reset before a byte has passed.
   */
  readonly door?: "closed" | "slammed";
}

export interface FaultProxy extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  /** Connections that are open. */
  readonly connections: number;
  /**
   * From now on. What was swallowed stays lost: a connection that lost bytes is reset when they would pass again,
   * since a real one would not go on in the middle of a message either.
   */
  set(weather: Weather): void;
  /** Resets every connection. New ones are taken. */
  reset(): void;
  stop(): Promise<void>;
}

/** Both ends of one connection, and whether it has lost something. */
interface Pair {
  readonly client: Socket;
  readonly server: Socket;
  damaged: boolean;
}

/** Listens on a free port of 127.0.0.1 and passes everything on to `host:port`. */
export async function startFaultProxy(target: { host: string; port: number }): Promise<FaultProxy> {
  let weather: Weather = {};
  const pairs = new Set<Pair>();

  const pass = (pair: Pair, from: Socket, to: Socket, direction: "requests" | "replies"): void => {
    from.on("data", (bytes) => {
      const { latencyMs = 0, lost } = weather;
      if (lost === "both" || lost === direction) {
        pair.damaged = true;
        return;
      }
      if (latencyMs === 0) to.write(bytes);
      else setTimeout(() => to.writable && to.write(bytes), latencyMs);
    });
    // Half-open connections are not worth telling apart: whoever ends, ends both.
    from.on("close", () => {
      pairs.delete(pair);
      to.destroy();
    });
    from.on("error", () => to.resetAndDestroy());
  };

  const listener = createServer((client) => {
    if (weather.door === "slammed") {
      client.on("error", () => {});
      client.resetAndDestroy();
      return;
    }
    const pair: Pair = { client, server: connect(target), damaged: false };
    pairs.add(pair);
    client.setNoDelay(true);
    pair.server.setNoDelay(true);
    pass(pair, client, pair.server, "requests");
    pass(pair, pair.server, client, "replies");
  });
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  const address = listener.address();
  if (address === null || typeof address === "string") throw new Error("Expected the proxy to have a port");
  const { port } = address;

  const cut = (which: (pair: Pair) => boolean): void => {
    for (const pair of [...pairs].filter(which)) {
      pair.client.resetAndDestroy();
      pair.server.resetAndDestroy();
    }
  };
  const stop = async (): Promise<void> => {
    if (!listener.listening) return;
    const closed = once(listener, "close");
    listener.close();
    cut(() => true);
    await closed;
  };
  return {
    host: "127.0.0.1",
    port,
    get connections() {
      return pairs.size;
    },
    set(next) {
      weather = next;
      if (next.lost === undefined) cut(({ damaged }) => damaged);
      if (next.door !== undefined) cut(() => true);
      if (next.door === "closed") listener.close();
      else if (!listener.listening) listener.listen(port, "127.0.0.1");
    },
    reset: () => cut(() => true),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/** A proxy in front of a URL, and the URL that leads through it. */
export async function startProxyTo(url: string): Promise<FaultProxy & { readonly url: string }> {
  const through = new URL(url);
  const proxy = await startFaultProxy({ host: through.hostname, port: Number(through.port) });
  through.host = `${proxy.host}:${String(proxy.port)}`;
  // `URL` ends a bare origin with a slash that nobody asked for.
  return Object.assign(proxy, { url: through.href.replace(/\/$/, "") });
}
