/** The network that misbehaves, held to what it promises with an echo behind it. */
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { startFaultProxy } from "../src/proxy.ts";

/** A server that says everything back, a proxy before it, and a client of that. */
async function startEcho() {
  const heard: string[] = [];
  const server = createServer((socket) => {
    socket.on("data", (bytes) => {
      heard.push(bytes.toString());
      socket.write(bytes);
    });
    socket.on("error", () => {});
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("Expected a port");
  const proxy = await startFaultProxy({ host: "127.0.0.1", port: address.port });
  const clients: Socket[] = [];
  return {
    heard,
    proxy,
    async client(): Promise<Socket> {
      const socket = connect(proxy.port, proxy.host);
      // Resets are what is tested here; who cares for one looks at `endOf`.
      socket.on("error", () => {});
      clients.push(socket);
      await once(socket, "connect");
      return socket;
    },
    async [Symbol.asyncDispose]() {
      for (const client of clients) client.destroy();
      await proxy.stop();
      server.close();
      await once(server, "close");
    },
  };
}

/** Resolves with the name of the error it ended by; `undefined` for a clean end. */
async function endOf(socket: Socket): Promise<string | undefined> {
  let code: string | undefined;
  socket.on("error", (error: NodeJS.ErrnoException) => (code = error.code));
  const { promise, resolve } = Promise.withResolvers<void>();
  socket.on("close", () => resolve());
  await promise;
  return code;
}

async function say(socket: Socket, text: string): Promise<string> {
  const heard = once(socket, "data");
  socket.write(text);
  const [bytes] = await heard;
  return String(bytes);
}

test("passes bytes both ways, and as many connections as come", async () => {
  await using echo = await startEcho();
  const clients = await Promise.all([echo.client(), echo.client()]);
  expect(await Promise.all(clients.map(async (client) => say(client, "hello")))).toEqual(["hello", "hello"]);
  expect(echo.proxy.connections).toBe(2);
});

test("delays each piece in both directions and keeps their order", async () => {
  await using echo = await startEcho();
  const client = await echo.client();
  echo.proxy.set({ latencyMs: 60 });
  const startedAt = performance.now();
  client.write("a");
  await sleep(5);
  client.write("b");
  let said = "";
  for await (const bytes of client) {
    said += String(bytes);
    if (said.length === 2) break;
  }
  expect(said).toBe("ab");
  expect(performance.now() - startedAt).toBeGreaterThan(110);
});

test("loses replies: the server does as it is told, nobody hears of it; good weather resets the connection", async () => {
  await using echo = await startEcho();
  const client = await echo.client();
  expect(await say(client, "one")).toBe("one");
  echo.proxy.set({ lost: "replies" });
  client.write("two");
  await expect.poll(() => echo.heard).toEqual(["one", "two"]);
  // What the server said takes no longer than what it was told.
  await expect.poll(() => client.bytesWritten).toBe(6);
  expect(client.bytesRead).toBe(3);
  const end = endOf(client);
  echo.proxy.set({});
  expect(await end).toBe("ECONNRESET");
  expect(await say(await echo.client(), "three")).toBe("three");
});

test("loses requests; a connection that lost nothing goes on", async () => {
  await using echo = await startEcho();
  const [idle, busy] = await Promise.all([echo.client(), echo.client()]);
  expect([await say(idle, "x"), await say(busy, "y")]).toEqual(["x", "y"]);
  echo.proxy.set({ lost: "both" });
  const end = endOf(busy);
  busy.write("swallowed");
  await sleep(30);
  echo.proxy.set({});
  expect(await end).toBe("ECONNRESET");
  expect(echo.heard).not.toContain("swallowed");
  expect(await say(idle, "z")).toBe("z");
});

test("resets what is open, takes what comes, and ends with its server", async () => {
  await using echo = await startEcho();
  const client = await echo.client();
  expect(await say(client, "one")).toBe("one");
  const end = endOf(client);
  echo.proxy.reset();
  expect(await end).toBe("ECONNRESET");
  const next = await echo.client();
  expect(await say(next, "two")).toBe("two");
  const last = endOf(next);
  await echo.proxy.stop();
  expect(await last).toBe("ECONNRESET");
});

test("a closed door refuses, a slammed one resets, both end what is open, and both open again", async () => {
  await using echo = await startEcho();
  for (const [door, code] of [
    ["closed", "ECONNREFUSED"],
    ["slammed", "ECONNRESET"],
  ] as const) {
    const open = await echo.client();
    const end = endOf(open);
    echo.proxy.set({ door });
    expect(await end).toBe("ECONNRESET");
    expect(await endOf(connect(echo.proxy.port, echo.proxy.host))).toBe(code);
    echo.proxy.set({});
    expect(await say(await echo.client(), "again")).toBe("again");
  }
  expect(echo.heard).toEqual(["again", "again"]);
});
