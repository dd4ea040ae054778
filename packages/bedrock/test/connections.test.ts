/** What the wire says about a call that broke, on real sockets: whether it was sent, and whether it may be made again. */
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import {
  createServer as createTcpServer,
  type AddressInfo,
  type Server as TcpServer,
  type Socket,
} from "node:net";
import { setImmediate, setTimeout as sleep } from "node:timers/promises";
import { readFile } from "node:fs/promises";
import { createServer as createTlsServer } from "node:https";
import { createServer as createRawTlsServer } from "node:tls";
import { describe, expect, onTestFinished, test } from "vitest";
import { createBedrock } from "../src/index.ts";
import { createConnections, type Trace } from "../src/sdk/connections.ts";
import { sendAnswer } from "./endpoint.ts";

const CREDENTIALS = { accessKeyId: "a", secretAccessKey: "b" };

async function listenOn(server: Server | TcpServer): Promise<number> {
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  onTestFinished(() => void server.close());
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a server on TCP has this address
  return (server.address() as AddressInfo).port;
}

function callerOf(endpoint: string) {
  const bedrock = createBedrock({
    region: "us-east-1",
    endpoint,
    credentials: CREDENTIALS,
    maxConnections: 4,
    clock: Date.now,
  });
  onTestFinished(() => bedrock.close());
  const { signal } = new AbortController();
  return async (timeoutMs = 5_000) =>
    bedrock.converse({
      model: "m",
      request: { messages: [{ role: "user", content: [{ text: "Hi" }] }], maxTokens: 10 },
      jobId: "j",
      signal,
      timeoutMs,
    });
}

const NEVER_SENT = { type: "failed", rule: "unreachable", charge: "nothing" };

describe("nothing was asked, and nothing is paid", () => {
  test("when the connection is cut before it is secured", async () => {
    const port = await listenOn(
      createTcpServer((socket) => {
        socket.on("error", () => {});
        // With the greeting of TLS in hand.
        socket.once("data", () => socket.destroy());
      }),
    );
    expect(await callerOf(`https://127.0.0.1:${port}`)()).toMatchObject(NEVER_SENT);
  });

  test("when a TLS server resets the handshake half-way", async () => {
    const [key, cert] = await certificate();
    const sockets: Socket[] = [];
    const cut = (): void => sockets.forEach((socket) => socket.resetAndDestroy());
    // Asked which certificate to show: in the middle of the handshake.
    const server = createRawTlsServer({ key, cert, SNICallback: cut });
    server.on("connection", (socket: Socket) => void sockets.push(socket));
    server.on("tlsClientError", () => {});
    const port = await listenOn(server);
    expect(await callerOf(`https://localhost:${port}`)()).toMatchObject(NEVER_SENT);
    expect(sockets).toHaveLength(1);
  });

  test("when the handshake never ends", { timeout: 15_000 }, async () => {
    const port = await listenOn(createTcpServer((socket) => void socket.on("error", () => {})));
    const startedAt = performance.now();
    expect(await callerOf(`https://127.0.0.1:${port}`)(60_000)).toMatchObject(NEVER_SENT);
    expect(performance.now() - startedAt).toBeLessThan(10_000);
  });

  test("when nobody listens", async () => {
    expect(await callerOf("http://127.0.0.1:1")()).toMatchObject(NEVER_SENT);
  });
});

test("a certificate that nobody vouches for is no cut", async () => {
  const [key, cert] = await certificate();
  const port = await listenOn(createTlsServer({ key, cert }, (_, response) => sendAnswer(response)));
  expect(await callerOf(`https://127.0.0.1:${port}`)()).toMatchObject({
    rule: "untrusted",
    charge: "nothing",
  });
});

test("a cut after the request was sent may have been paid", async () => {
  const port = await listenOn(createServer((request) => request.socket.resetAndDestroy()));
  expect(await callerOf(`http://127.0.0.1:${port}`)()).toMatchObject({ rule: "cut", charge: "estimate" });
});

/** Answers the first request of a connection, and treats every further one as it is told. */
async function keeping(further: (socket: Socket) => void) {
  const seen = new Map<Socket, number>();
  const server = createServer({ keepAliveTimeout: 0 }, (request, response) => {
    const requests = (seen.get(request.socket) ?? 0) + 1;
    seen.set(request.socket, requests);
    if (requests === 1) sendAnswer(response);
    else further(request.socket);
  });
  const port = await listenOn(server);
  onTestFinished(() => server.closeAllConnections());
  return { call: callerOf(`http://127.0.0.1:${port}`), seen };
}

describe("a kept connection", () => {
  test("that the server closes when it is used again: the call goes out on a new one", async () => {
    const { call, seen } = await keeping((socket) => socket.resetAndDestroy());
    expect(await call()).toMatchObject({ type: "answered" });
    expect(await call()).toMatchObject({ type: "answered" });
    expect([...seen.values()]).toEqual([2, 1]);
  });

  test("that breaks within an answer: the call is not made again", async () => {
    const { call, seen } = await keeping((socket) => {
      socket.write("HTTP/1.1 200 OK\r\ncontent-le", () => socket.resetAndDestroy());
    });
    await call();
    expect(await call()).toMatchObject({ rule: "cut", charge: "estimate" });
    expect([...seen.values()]).toEqual([2]);
  });

  test("that is cut while the answer is worked on: the call is not made again", async () => {
    const { call, seen } = await keeping((socket) => void setTimeout(() => socket.resetAndDestroy(), 1_500));
    await call();
    expect(await call()).toMatchObject({ rule: "cut", charge: "estimate" });
    expect([...seen.values()]).toEqual([2]);
  });

  test("that is stale, with nobody there any more: nothing was sent", async () => {
    let requests = 0;
    const server = createServer({ keepAliveTimeout: 0 }, (request, response) => {
      requests += 1;
      if (requests === 1) return sendAnswer(response);
      server.close();
      request.socket.resetAndDestroy();
    });
    const port = await listenOn(server);
    const connections = createConnections(1);
    onTestFinished(() => connections.destroy());
    const ask = async (trace: Trace) =>
      connections.handle(
        { protocol: "http:", hostname: "127.0.0.1", port, method: "GET", path: "/", headers: {} },
        { trace },
      );
    const { response } = await ask({ sent: false });
    response.body.resume();
    await once(response.body, "end");
    // Then the connection is kept.
    await setImmediate();
    const trace = { sent: false };
    await expect(ask(trace)).rejects.toThrow("ECONNREFUSED");
    expect(trace.sent).toBe(false);
  });

  test("a second cut is the failure of the call", async () => {
    const sockets: Socket[] = [];
    const server = createServer((request, response) => {
      sockets.push(request.socket);
      if (sockets.length === 1) sendAnswer(response);
      else request.socket.resetAndDestroy();
    });
    const call = callerOf(`http://127.0.0.1:${await listenOn(server)}`);
    expect(await call()).toMatchObject({ type: "answered" });
    expect(await call()).toMatchObject({ rule: "cut", charge: "estimate" });
    expect(sockets.map((socket) => sockets.indexOf(socket))).toEqual([0, 0, 2]);
  });

  test("is not used past the server's own hint", async () => {
    const sockets = new Set<Socket>();
    const server = createServer({ keepAliveTimeout: 2_500 }, (request, response) => {
      sockets.add(request.socket);
      sendAnswer(response);
    });
    const call = callerOf(`http://127.0.0.1:${await listenOn(server)}`);
    await call();
    await call();
    expect(sockets.size).toBe(1);
    await sleep(1_200);
    expect(await call()).toMatchObject({ type: "answered" });
    expect(sockets.size).toBe(2);
  });
});

async function certificate(): Promise<[key: string, cert: string]> {
  return [await fixture("key"), await fixture("cert")];
}

async function fixture(name: string): Promise<string> {
  return readFile(new URL(`fixtures/loopback-${name}.pem`, import.meta.url), "utf8");
}
