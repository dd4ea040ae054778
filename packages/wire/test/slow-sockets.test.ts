/** Sockets that say too little, over either protocol. */
import { once } from "node:events";
import { connect as http2Connect } from "node:http2";
import { connect } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { listen, readBody, type WireRequest, type WireResponse } from "../src/index.ts";

/** Reads the body to its end, as a server does. */
async function respond(request: WireRequest, response: WireResponse): Promise<void> {
  try {
    await readBody(request, 1_000);
    response.writeHead(200, {});
    response.end();
  } catch {
    response.destroy();
  }
}

/** Says this, and resolves once the other side has closed. */
async function said(url: string, words: string): Promise<string> {
  const socket = connect(Number(new URL(url).port), "127.0.0.1");
  onTestFinished(() => void socket.destroy());
  socket.on("error", () => {});
  socket.resume();
  socket.write(words);
  await once(socket, "close");
  return "closed";
}

describe("a port ends", () => {
  const bounds = { headersMs: 150, requestMs: 300, idleMs: 100, checkEveryMs: 20 };

  async function opened() {
    const port = await listen("127.0.0.1", 0, (request, response) => void respond(request, response), bounds);
    onTestFinished(async () => port.close());
    return port;
  }

  test.each([
    ["a connection that says nothing", ""],
    ["one that says too little to tell its protocol", "P"],
    ["headers that do not end", "GET / HTTP/1.1\r\nhost: localhost\r\nx: y"],
    ["a body that does not come", "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\r\nabc"],
    ["a session of HTTP/2 without a request", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
  ])("%s", async (_, words) => {
    const { url } = await opened();
    await expect(said(url, words)).resolves.toBe("closed");
  });

  test("a body that does not come, and a session that is done, over HTTP/2", async () => {
    const { url } = await opened();
    const session = http2Connect(url);
    onTestFinished(() => session.destroy());
    const stream = session.request({ ":method": "POST", ":path": "/" });
    stream.on("error", () => {});
    stream.write("abc");
    await once(stream, "close");
    expect(stream.rstCode).not.toBe(0);
    await once(session, "close");
  });

  test("nothing that is only busy", async () => {
    const { url } = await opened();
    const session = http2Connect(url);
    onTestFinished(() => session.destroy());
    for (let n = 0; n < 3; n += 1) {
      const stream = session.request({ ":method": "POST", ":path": "/" });
      stream.end("abc");
      const [answer] = await once(stream, "response");
      expect(answer[":status"]).toBe(200);
      stream.resume();
      await once(stream, "close");
    }
  });
});
