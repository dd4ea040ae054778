/** What the port does not take: names that lead here by trickery, forms of other sites, and sockets that say too little. */
import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { connect as http2Connect } from "node:http2";
import { connect } from "node:net";
import { json } from "node:stream/consumers";
import { describe, expect, onTestFinished, test } from "vitest";
import { start } from "../src/index.ts";
import { readBody, type WireRequest, type WireResponse } from "../src/wire/exchange.ts";
import { listen } from "../src/wire/port.ts";

async function ask(
  url: string,
  path: string,
  options: { method?: string; headers?: Record<string, string> },
) {
  const request = httpRequest(`${url}${path}`, options);
  request.end();
  const [response] = await once(request, "response");
  return { status: Number(response.statusCode), body: await json(response) };
}

describe("a simulator", () => {
  test("does not answer to a name that was made to lead here, over either protocol", async () => {
    await using simulator = await start({ allowedHosts: ["simulator"] });
    const headers = { host: "evil.example" };
    expect(await ask(simulator.url, "/_sim/stats", { headers })).toEqual({
      status: 421,
      body: { message: expect.stringContaining("--allowed-hosts") },
    });
    expect((await ask(simulator.url, "/model/x/converse", { method: "POST", headers })).status).toBe(421);
    expect((await ask(simulator.url, "/_sim/health", { headers })).status).toBe(200);
    expect((await ask(simulator.url, "/_sim/stats", { headers: { host: "simulator:4010" } })).status).toBe(
      200,
    );

    const session = http2Connect(simulator.url);
    onTestFinished(() => session.destroy());
    const statusOf = async (authority: string): Promise<unknown> => {
      const [answer] = await once(
        session.request({ ":path": "/_sim/stats", ":authority": authority }),
        "response",
      );
      return answer[":status"];
    };
    expect(await statusOf("evil.example")).toBe(421);
    expect(await statusOf(new URL(simulator.url).host)).toBe(200);
  });

  test("takes no write that a page of another site made a browser send", async () => {
    await using simulator = await start();
    const headers = { "sec-fetch-site": "cross-site", "content-type": "text/plain" };
    simulator.addFaults([{ fault: "ThrottlingException" }]);
    for (const [method, path] of [
      ["POST", "/_sim/reset"],
      ["DELETE", "/_sim/faults"],
    ]) {
      expect((await ask(simulator.url, path ?? "", { method: method ?? "", headers })).status).toBe(403);
    }
    const { body } = await ask(simulator.url, "/_sim/faults", {});
    expect(body).toMatchObject({ rules: [expect.anything()] });
  });
});

/** Reads the body to its end, as the simulator does. */
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
