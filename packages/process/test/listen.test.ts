import { once } from "node:events";
import { connect } from "node:net";
import { Agent, get, type IncomingMessage, type RequestListener } from "node:http";
import { describe, expect, onTestFinished, test } from "vitest";
import { assertReachable, closeServer, httpServer, listen, type HttpServerOptions } from "../src/index.ts";

async function serve(handler: RequestListener, options: HttpServerOptions = {}) {
  const server = httpServer(handler, options);
  onTestFinished(() => server.closeAllConnections());
  onTestFinished(async () => closeServer(server));
  return { server, url: await listen(server, "127.0.0.1", 0) };
}

/** Says something over a connection of its own. Resolves to what comes back until it says enough, or is closed. */
async function connected(url: string) {
  const socket = connect(Number(new URL(url).port), "127.0.0.1");
  onTestFinished(() => void socket.destroy());
  const closed = new Promise<"closed">((resolve) => {
    // A refused connection may be reset before it was used.
    socket.on("error", () => {}).on("close", () => resolve("closed"));
  });
  await once(socket, "connect");
  const ask = async (): Promise<string> => {
    const answer = once(socket, "data").then(([data]) => String(data));
    socket.write("GET / HTTP/1.1\r\nHost: here\r\n\r\n");
    return Promise.race([answer, closed]);
  };
  return { ask, closed, end: () => socket.end() };
}

describe("assertReachable", () => {
  test.each(["127.0.0.1", "::1", "localhost"])("lets a program listen on %s", (host) => {
    expect(() => assertReachable(host, false)).not.toThrow();
  });

  test.each(["0.0.0.0", "::", "10.0.0.7", "sluice.example", "127.0.0.1.example"])(
    "refuses %s unless it was asked for",
    (host) => {
      expect(() => assertReachable(host, false)).toThrow(`HOST is ${host}, but`);
      expect(() => assertReachable(host, false)).toThrow("SLUICE_ALLOW_UNAUTHENTICATED=true");
      expect(() => assertReachable(host, true)).not.toThrow();
    },
  );
});

describe("listen", () => {
  test("takes a free port and answers on the URL it resolves to", async () => {
    const { url } = await serve((_request, response) => response.end("here"));
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:[1-9]\d+$/);
    expect(await (await fetch(url)).text()).toBe("here");
  });

  test("rejects when the port is taken", async () => {
    const { url } = await serve((_request, response) => response.end());
    await expect(
      listen(
        httpServer(() => {}),
        "127.0.0.1",
        Number(new URL(url).port),
      ),
    ).rejects.toThrow("EADDRINUSE");
  });
});

describe("a server that has as many connections as it may", () => {
  test("refuses one more and tells it, and those that are open are answered as ever", async () => {
    const errors: string[] = [];
    const held = Promise.withResolvers<void>();
    const { server, url } = await serve(
      (_request, response) => void held.promise.then(() => response.end("here")),
      { maxConnections: 2, onError: ({ message }) => errors.push(message) },
    );
    const [first, second] = [await connected(url), await connected(url)];
    const answer = first.ask();
    await once(server, "request");
    const third = await connected(url);
    expect(await third.closed).toBe("closed");
    expect(errors).toEqual(["Refused a connection: 2 are open (SLUICE_MAX_CONNECTIONS)"]);
    held.resolve();
    expect(await answer).toContain("here");
    expect(await second.ask()).toContain("here");

    // Whoever leaves makes room.
    first.end();
    await first.closed;
    const fourth = await connected(url);
    expect(await fourth.ask()).toContain("here");
    expect(errors).toHaveLength(1);
  });
});

describe("closeServer", () => {
  test("answers what was asked, then closes, and refuses what comes later", async () => {
    const asked = Promise.withResolvers<() => void>();
    const { server, url } = await serve((_request, response) => {
      asked.resolve(() => void response.end("late but here"));
    });
    const answer = fetch(url);
    const respond = await asked.promise;
    const closed = closeServer(server);
    respond();
    expect(await (await answer).text()).toBe("late but here");
    await closed;
    await expect(fetch(url)).rejects.toThrow("fetch failed");
  });

  test("does not wait for a caller that keeps its connection and never stops asking", async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    onTestFinished(() => agent.destroy());
    const asked = Promise.withResolvers<() => void>();
    const { server, url } = await serve((_request, response) => {
      asked.resolve(() => void response.end());
      if (!server.listening) response.end();
    });
    const ask = async (): Promise<void> => {
      const answered = Promise.withResolvers<IncomingMessage>();
      get(url, { agent }, answered.resolve).on("error", answered.reject);
      await (await answered.promise).resume().toArray();
    };
    const refused = (async () => {
      for (;;) await ask();
    })().catch((error: unknown) => error);
    const respond = await asked.promise;
    const closed = closeServer(server);
    respond();
    await closed;
    // A connection that the system had taken, and the server had not, is reset.
    expect(await refused).toMatchObject({ code: expect.stringMatching(/^ECONN(REFUSED|RESET)$/) });
  });

  test("of a server that does not listen does nothing", async () => {
    await expect(closeServer(httpServer(() => {}))).resolves.toBeUndefined();
  });
});

test("who asked is known also when the connection has been reset by then", async () => {
  const asked = Promise.withResolvers<string | undefined>();
  const server = httpServer((request) => {
    request.socket.once("close", () => asked.resolve(request.socket.remoteAddress));
    client.resetAndDestroy();
  });
  const url = new URL(await listen(server, "127.0.0.1", 0));
  const client = connect(Number(url.port), url.hostname);
  onTestFinished(async () => closeServer(server));
  client.write("GET / HTTP/1.1\r\nhost: localhost\r\n\r\n");
  expect(await asked.promise).toBe("127.0.0.1");
});
