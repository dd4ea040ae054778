/** Who may ask: by which name, from which page, and how many streams at a time. */
import { once } from "node:events";
import { get } from "node:http";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { z } from "zod";
import { jobData, rawRequest, startApi } from "./given.ts";

const places = () => ({ redisUrl: inject("redisUrl"), dynamoDbUrl: inject("dynamoDbUrl") });
const good = { pool: "claude", lane: "critical", prompt: "Why is the sky blue?" };
const idOf = (body: unknown): string => z.object({ id: z.string() }).parse(body).id;

/** Opens a stream; resolves once it has been answered. */
async function open(url: string, id: string, after?: string) {
  const request = get(`${url}/v1/jobs/${id}/stream`, {
    agent: false,
    headers: after === undefined ? {} : { "last-event-id": after },
  });
  const [response] = await once(request, "response");
  response.setEncoding("utf8");
  return { request, response, status: Number(response.statusCode) };
}

describe("an API", () => {
  let api: Awaited<ReturnType<typeof startApi>>;

  beforeAll(async () => {
    api = await startApi({ ...places(), allowedHosts: ["sluice.internal"] });
  });

  afterAll(async () => {
    await api[Symbol.asyncDispose]();
  });

  test("does not answer to a name that was made to lead here, but for health checks", async () => {
    const headers = { host: "evil.example:3000" };
    for (const [method, path] of [
      ["GET", "/v1/jobs/x"],
      ["GET", "/v1/pools/claude"],
      ["GET", "/nowhere"],
      ["POST", "/v1/jobs"],
    ]) {
      const reply = await rawRequest(api.url, { path: path ?? "", method: method ?? "", headers });
      expect(reply).toMatchObject({ status: 421, body: { error: { code: "misdirected-request" } } });
      expect(JSON.stringify(reply.body)).toContain("SLUICE_ALLOWED_HOSTS");
    }
    await api.beat("worker");
    await api.loseIdentity("worker");
    expect((await api.get("/readyz")).body).toMatchObject({ identities: expect.anything() });
    for (const [path, status] of [
      ["/healthz", "ok"],
      ["/readyz", "ready"],
    ] as const) {
      // And nothing else: a page that led its own name here could read it.
      expect(await rawRequest(api.url, { path, headers })).toMatchObject({ status: 200, body: { status } });
      expect((await rawRequest(api.url, { path, headers })).body).toEqual({ status });
    }
    for (const host of ["localhost:9", "[::1]:9", "sluice.internal"]) {
      const reply = await rawRequest(api.url, { path: "/v1/jobs/x", headers: { host } });
      expect(reply.status).toBe(404);
    }
  });

  test("takes no write from a page of another site, also one without a body", async () => {
    const id = idOf((await api.post(good)).body);
    const path = `/v1/jobs/${id}/cancel`;
    const pages = [
      { "sec-fetch-site": "cross-site" },
      { "sec-fetch-site": "same-site" },
      { origin: "http://evil.example" },
      { origin: "null", "content-type": "text/plain" },
    ];
    for (const headers of pages) {
      const reply = await rawRequest(api.url, { path, method: "POST", headers });
      expect(reply).toMatchObject({ status: 403, body: { error: { code: "cross-site" } } });
    }
    expect((await api.get(`/v1/jobs/${id}`)).body).toMatchObject({ state: "waiting" });
    expect(await rawRequest(api.url, { path, method: "POST" })).toMatchObject({ status: 200 });
  });

  test("tells caches to keep nothing, whatever it answers", async () => {
    const id = idOf((await api.post(good)).body);
    const paths = [
      "/healthz",
      "/readyz",
      `/v1/jobs/${id}`,
      "/v1/jobs/x",
      "/v1/pools/claude",
      "/nowhere",
      "/%E0%A4%A",
    ];
    for (const path of paths) {
      const { headers } = await api.get(path);
      expect([path, headers.get("cache-control")]).toEqual([path, "no-store"]);
    }
    for (const body of [good, "{", {}]) {
      expect((await api.post(body)).headers.get("cache-control")).toBe("no-store");
    }
    const refused = await rawRequest(api.url, { path: "/v1/jobs/x", headers: { host: "evil.example" } });
    expect(refused.headers["cache-control"]).toBe("no-store");
  });
});

describe("event streams", () => {
  test("beyond an address's share are refused with when to come back, until one has been closed", async () => {
    await using api = await startApi({
      ...places(),
      streams: { most: 100, mostPerAddress: 3, maxAgeMs: 60_000 },
    });
    const id = idOf((await api.post(good)).body);
    const streams = await Promise.all([1, 2, 3].map(async () => open(api.url, id)));
    expect(streams.map(({ status }) => status)).toEqual([200, 200, 200]);
    const refused = await api.get(`/v1/jobs/${id}/stream`);
    expect(refused).toMatchObject({ status: 429, body: { error: { code: "too-many-streams" } } });
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
    // Everything else is as before.
    expect((await api.get(`/v1/jobs/${id}`)).status).toBe(200);
    streams[0]?.request.destroy();
    await expect
      .poll(async () => {
        const { status, request } = await open(api.url, id);
        request.destroy();
        return status;
      })
      .toBe(200);
    for (const { request } of streams) request.destroy();
  });

  test("beyond what the process holds are refused, and unknown jobs take no place", async () => {
    await using api = await startApi({
      ...places(),
      streams: { most: 2, mostPerAddress: 100, maxAgeMs: 60_000 },
    });
    const id = idOf((await api.post(good)).body);
    for (let n = 0; n < 5; n += 1) {
      expect((await api.get(`/v1/jobs/${(await jobData()).id}/stream`)).status).toBe(404);
    }
    const streams = await Promise.all([1, 2].map(async () => open(api.url, id)));
    const refused = await api.get(`/v1/jobs/${id}/stream`);
    expect(refused).toMatchObject({ status: 503, body: { error: { code: "too-many-streams" } } });
    expect(refused.headers.has("retry-after")).toBe(true);
    for (const { request } of streams) request.destroy();
  });

  test("give their places back when their readers went before the first byte, also those behind another", async () => {
    await using api = await startApi({
      ...places(),
      streams: { most: 40, mostPerAddress: 40, maxAgeMs: 60_000 },
    });
    const id = idOf((await api.post(good)).body);
    const { hostname, port, host } = new URL(api.url);
    const line = `GET /v1/jobs/${id}/stream HTTP/1.1\r\nhost: ${host}\r\n\r\n`;
    for (const times of [1, 1, 1, 1, 20]) {
      const socket = connect(Number(port), hostname);
      await once(socket, "connect");
      // Many on one connection: all but the first wait until the one before has ended.
      socket.write(line.repeat(times));
      socket.resetAndDestroy();
      await once(socket, "close");
    }
    const all = async (): Promise<number> => {
      const streams = await Promise.all(Array.from({ length: 40 }, async () => open(api.url, id)));
      for (const { request } of streams) request.destroy();
      return streams.filter(({ status }) => status === 200).length;
    };
    await expect.poll(all, { timeout: 5_000 }).toBe(40);
  });

  test("asked for by HEAD are answered, and take no place", async () => {
    await using api = await startApi(places());
    const id = idOf((await api.post(good)).body);
    const head = await fetch(`${api.url}/v1/jobs/${id}/stream`, {
      method: "HEAD",
      signal: AbortSignal.timeout(5_000),
    });
    expect([head.status, head.headers.get("content-type")]).toEqual([
      200,
      expect.stringContaining("text/event-stream"),
    ]);
    expect(await head.text()).toBe("");
  });

  test("of many readers use one connection to Redis", async () => {
    await using api = await startApi(places());
    const id = idOf((await api.post(good)).body);
    const connections = async (): Promise<number> =>
      Number(/connected_clients:(\d+)/.exec(await api.redis.info("clients"))?.[1]);
    const before = await connections();
    const streams = await Promise.all(Array.from({ length: 150 }, async () => open(api.url, id)));
    expect(streams.every(({ status }) => status === 200)).toBe(true);
    // Other tests use this Redis too, but none of them opens that many.
    expect((await connections()) - before).toBeLessThan(50);
    for (const { request } of streams) request.destroy();
  });

  test("end when they are old, and their reader goes on with the next event", async () => {
    await using api = await startApi({
      ...places(),
      streams: { most: 10, mostPerAddress: 10, maxAgeMs: 1_000 },
    });
    const id = idOf((await api.post(good)).body);
    const writer = api.chunks.open({
      id,
      call: 1,
      maxTokens: 100,
      onError: (error) => expect.unreachable(String(error)),
    });
    writer.write("first");
    const one = await open(api.url, id);
    let seen = "";
    for await (const chunk of one.response) seen += String(chunk);
    expect(seen).toContain('data: {"text":"first"}');
    expect(seen).not.toContain("event: completed");
    const last = [...seen.matchAll(/^id: (.+)$/gm)].at(-1)?.[1];
    writer.write("second");
    await writer.end("completed");
    const two = await open(api.url, id, last);
    let rest = "";
    for await (const chunk of two.response) rest += String(chunk);
    expect(rest).not.toContain("first");
    expect(rest).toContain('data: {"text":"second"}');
    expect(rest).toContain("event: completed");
  });

  test("end at once when the API leaves", async () => {
    const api = await startApi(places());
    const id = idOf((await api.post(good)).body);
    const { response } = await open(api.url, id);
    response.resume();
    const ended = once(response, "end");
    const leftAt = performance.now();
    await api[Symbol.asyncDispose]();
    await Promise.race([ended, sleep(5_000)]);
    expect(performance.now() - leftAt).toBeLessThan(3_000);
  });

  test("with an id that Redis could not read hold nobody up", async () => {
    await using api = await startApi(places());
    const id = idOf((await api.post(good)).body);
    const { request } = await open(api.url, id);
    for (const after of ["99999999999999999999-0", "0-18446744073709551616", "x"]) {
      const reply = await rawRequest(api.url, {
        path: `/v1/jobs/${id}/stream`,
        headers: { "last-event-id": after },
      });
      expect(reply.status).toBe(400);
    }
    request.destroy();
  });
});
