import { Agent, get, type IncomingMessage, type RequestListener } from "node:http";
import { describe, expect, onTestFinished, test } from "vitest";
import { assertReachable, closeServer, httpServer, listen } from "../src/index.ts";

async function serve(handler: RequestListener) {
  const server = httpServer(handler);
  onTestFinished(() => server.closeAllConnections());
  onTestFinished(async () => closeServer(server));
  return { server, url: await listen(server, "127.0.0.1", 0) };
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
    expect(await refused).toMatchObject({ code: "ECONNREFUSED" });
  });

  test("of a server that does not listen does nothing", async () => {
    await expect(closeServer(httpServer(() => {}))).resolves.toBeUndefined();
  });
});
