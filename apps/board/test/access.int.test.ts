/** Who may do what over HTTP: passwords, a proxy's word, other sites, and the record of it. */
import { once } from "node:events";
import { request as httpRequest, type OutgoingHttpHeaders } from "node:http";
import { text } from "node:stream/consumers";
import type { JobKind } from "@sluice/job";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { accessSettings, type AccessEnv } from "../src/access/settings.ts";
import { cheapHash, MARKER, startBoard, type TestBoard } from "./given.ts";

const ENV: AccessEnv = { HOST: "127.0.0.1", SLUICE_ALLOW_UNAUTHENTICATED: false };
const PASSWORD = "correct horse battery";
const SECRET = "0123456789abcdef01234567";

const as = (name: string, password = PASSWORD) => ({
  authorization: `Basic ${Buffer.from(`${name}:${password}`).toString("base64")}`,
});

describe("with passwords", () => {
  let board: TestBoard;
  let id: string;
  let base: string;

  beforeAll(async () => {
    const hash = cheapHash(PASSWORD);
    const users = ["viewer", "operator", "admin"].map((role) => `${role[0] ?? ""}-user:${role}:${hash}`);
    board = await startBoard({ access: accessSettings({ ...ENV, SLUICE_BOARD_USERS: users.join(" ") }) });
    id = await board.dead();
    base = `${board.url}/api/queues/dead-letter.ValidationException`;
    const headers = as("v-user");
    await vi.waitUntil(async () => (await fetch(`${base}/${id}`, { headers })).status === 200, 10_000);
  });

  afterAll(async () => {
    await board[Symbol.asyncDispose]();
  });

  test("a stranger is asked for a password on a page, and told in JSON when a page polls", async () => {
    const page = await fetch(board.url);
    expect([page.status, page.headers.get("www-authenticate")]).toEqual([
      401,
      expect.stringContaining("Basic"),
    ]);
    for (const headers of [{}, as("a-user", "wrong"), as("nobody"), { authorization: "Basic %%%" }]) {
      const poll = await fetch(`${board.url}/api/queues`, { headers });
      expect(poll.status).toBe(401);
      expect(await poll.json()).toEqual({ error: "Unauthorized", message: expect.any(String) });
    }
    expect((await fetch(`${board.url}/dead-letters`)).status).toBe(401);
    expect((await fetch(`${board.url}/healthz`)).status).toBe(200);
  });

  test("a viewer sees how long a request is, and of no kind its keys, numbers and addresses", async () => {
    const headers = as("v-user");
    const body = { "Patient Kurpfalz": { age: 4711 }, image: "s3://secret-bucket/kurpfalz.png" };
    const requests: [JobKind, object][] = [
      ["invoke", { body, maxTokens: 3_141_592 }],
      ["async", { body, outputS3Uri: "s3://secret-bucket/kurpfalz" }],
      [
        "converse",
        { messages: [{ role: "user", content: [{ text: "Kurpfalz 4711" }] }], maxTokens: 3_141_592 },
      ],
    ];
    for (const [kind, request] of requests) {
      const of = await board.dead({ kind, request, errorClass: "SizedException" });
      const pages = [`${board.url}/dead-letters/letter/${of}`, `${base}/${of}`];
      for (const url of pages) {
        const shown = await (await fetch(url, { headers })).text();
        expect(shown).not.toMatch(/Kurpfalz|4711\b|3141592|secret-bucket/i);
        expect(shown).toContain(`${Buffer.byteLength(JSON.stringify(request))}`);
      }
    }
  });

  test("a viewer sees the letter and may write nothing", async () => {
    const headers = as("v-user");
    const letter = `${board.url}/dead-letters/letter/${id}`;
    expect((await fetch(letter, { headers })).status).toBe(200);
    const before = (await board.store.get(id))?.revision;
    const writes: [string, string][] = [
      ["PUT", `${base}/${id}/retry`],
      ["PUT", `${base}/${id}/clean`],
      ["PUT", `${base}/${id}/promote`],
      ["PATCH", `${base}/${id}/update-data`],
      ["PUT", `${base}/retry/failed`],
      ["PUT", `${base}/clean/failed`],
      ["PUT", `${base}/empty`],
      ["PUT", `${base}/obliterate`],
      ["POST", `${base}/add`],
      ["POST", `${board.url}/dead-letters/replays`],
      ...["replay", "park", "unpark", "note", "edit", "purge"].map((action): [string, string] => [
        "POST",
        `${letter}/${action}`,
      ]),
    ];
    for (const [method, url] of writes) {
      const response = await fetch(url, { method, headers, redirect: "manual" });
      expect([url, response.status]).toEqual([url, response.status === 405 ? 405 : 403]);
    }
    expect((await board.store.get(id))?.revision).toBe(before);
    // Refusals are on record too.
    await vi.waitFor(() =>
      expect(board.audit.filter(({ user, phase }) => user === "v-user" && phase === "result")).toHaveLength(
        writes.length,
      ),
    );
  });

  test("an operator replays and edits, and neither deletes nor reads prompts", async () => {
    const headers = as("o-user");
    const letter = `${board.url}/dead-letters/letter/${id}`;
    expect((await fetch(`${base}/${id}/clean`, { method: "PUT", headers })).status).toBe(403);
    expect((await fetch(`${letter}/purge`, { method: "POST", headers })).status).toBe(403);
    expect((await fetch(`${letter}?prompt=full`, { headers })).status).toBe(403);
    // A look at a prompt is on record whether it was granted or not.
    await vi.waitFor(() => {
      const looks = board.audit.filter(({ method, user }) => method === "GET" && user === "o-user");
      expect(looks).toMatchObject([
        { phase: "intent", detail: "read the prompt" },
        { phase: "result", status: 403, detail: "read the prompt" },
      ]);
    });
    const shown = await (await fetch(letter, { headers })).text();
    expect(shown).toContain("⟦redacted");
    expect(shown).not.toContain(MARKER);
    const body = new URLSearchParams({ note: "seen" });
    expect(
      (await fetch(`${letter}/note`, { method: "POST", headers, body, redirect: "manual" })).status,
    ).toBe(303);
    expect((await board.store.get(id))?.history.at(-1)).toMatchObject({ event: "noted", by: "o-user" });
  });

  test("an admin reads a prompt, and that is on record", async () => {
    const headers = as("a-user");
    const response = await fetch(`${board.url}/dead-letters/letter/${id}?prompt=full`, { headers });
    expect(response.headers.get("cache-control")).toBe("no-store");
    expect(await response.text()).toContain(MARKER);
    await vi.waitFor(() =>
      expect(board.audit.at(-1)).toMatchObject({ user: "a-user", method: "GET", detail: "read the prompt" }),
    );
  });

  test.each([
    ["a form of another site", { "sec-fetch-site": "cross-site" }],
    ["a sister of this site", { "sec-fetch-site": "same-site" }],
    ["a browser that says only where it comes from", { origin: "http://evil.example" }],
    ["a page that hides where it comes from", { origin: "null" }],
  ])("%s writes nothing, also with an admin's password", async (_, from) => {
    const before = (await board.store.get(id))?.revision;
    for (const [method, url] of [
      ["POST", `${board.url}/dead-letters/letter/${id}/note`],
      ["POST", `${base}/add`],
      ["PUT", `${base}/${id}/retry`],
    ] as const) {
      const headers = { ...as("a-user"), ...from, "content-type": "text/plain" };
      expect((await send(url, { method, headers })).status).toBe(403);
    }
    expect((await board.store.get(id))?.revision).toBe(before);
  });
});

describe("with a proxy", () => {
  const proxied = {
    ...ENV,
    SLUICE_BOARD_PROXY_SECRET: SECRET,
    SLUICE_BOARD_PROXY_GROUPS: "oncall=operator *=viewer",
  };
  const ann = { "x-sluice-proxy-secret": SECRET, "x-forwarded-user": "ann" };

  test("its word counts, with its secret and from its address", async () => {
    await using board = await startBoard({
      access: accessSettings({ ...proxied, SLUICE_BOARD_PROXY_PEERS: "127.0.0.0/8" }),
    });
    const page = `${board.url}/dead-letters`;
    const seen = async (headers: OutgoingHttpHeaders) => {
      const response = await send(page, { method: "GET", headers });
      return [response.status, /\((\w+)\)<\/span>/.exec(response.body)?.[1]];
    };
    expect(await seen(ann)).toEqual([200, "viewer"]);
    expect(await seen({ ...ann, "x-forwarded-groups": "dev, oncall" })).toEqual([200, "operator"]);
    expect(await seen({ "x-forwarded-user": "ann" })).toEqual([401, undefined]);
    expect(await seen({ ...ann, "x-sluice-proxy-secret": `${SECRET}x` })).toEqual([401, undefined]);
    expect(await seen({ "x-sluice-proxy-secret": SECRET })).toEqual([401, undefined]);

    // A caller's own beside the proxy's: nobody can tell which is whose.
    const admins = { ...ann, "x-forwarded-groups": "oncall" };
    expect(await seen({ ...admins, "x-forwarded-groups": ["", "oncall"] })).toEqual([401, undefined]);
    expect(await seen({ ...admins, "x-forwarded-groups": ["oncall", "oncall"] })).toEqual([401, undefined]);
    expect(await seen({ ...admins, "x-forwarded-user": ["ann", "ben"] })).toEqual([401, undefined]);
    expect(await seen({ ...admins, "x-forwarded-user": "ann, ben" })).toEqual([401, undefined]);
    expect(await seen({ ...admins, "x-sluice-proxy-secret": [SECRET, SECRET] })).toEqual([401, undefined]);
    expect(await seen(admins)).toEqual([200, "operator"]);

    // A name stays a name on Bull Board's pages too.
    const strange = { ...ann, "x-forwarded-user": "$'<b>$&" };
    const { body } = await send(board.url, { method: "GET", headers: strange });
    expect(body).toContain("<span>$&#39;&lt;b&gt;$&amp; (viewer)</span>");
    expect(body.split('<div id="root">')).toHaveLength(2);
  });

  test("its word from another address does not count", async () => {
    await using board = await startBoard({
      access: accessSettings({ ...proxied, SLUICE_BOARD_PROXY_PEERS: "10.0.0.5" }),
    });
    expect((await send(`${board.url}/dead-letters`, { method: "GET", headers: ann })).status).toBe(401);
  });
});

test("on loopback, a name that was made to lead here is not answered", async () => {
  await using board = await startBoard();
  const headers = { host: "evil.example" };
  for (const path of ["/dead-letters", "/api/queues", "/"]) {
    const refused = await send(`${board.url}${path}`, { method: "GET", headers });
    expect(refused.status).toBe(421);
    expect(refused.body).toContain("SLUICE_ALLOWED_HOSTS");
  }
  expect((await send(`${board.url}/healthz`, { method: "GET", headers })).status).toBe(200);
});

test("a board that asks nobody who he is answers to the names it was given", async () => {
  await using board = await startBoard({ access: { type: "open" }, allowedHosts: ["board.internal"] });
  const statusOf = async (host: string) =>
    (await send(`${board.url}/dead-letters`, { method: "GET", headers: { host } })).status;
  expect(await statusOf("board.internal:3001")).toBe(200);
  expect(await statusOf("evil.example")).toBe(421);
});

describe("errors", () => {
  const json = { "content-type": "application/json" };

  test("of a body are answered in JSON, without the body, a stack or a page of Express", async () => {
    await using board = await startBoard();
    for (const [method, path, headers, body] of [
      ["PUT", "/api/queues/claude.standard/x/retry", json, `{"prompt": ${MARKER}`],
      ["PUT", "/nowhere", json, `{"prompt": "${MARKER}`],
      ["PATCH", "/api/queues/claude.standard/x/update-data", json, MARKER],
      ["PUT", "/api/queues/claude.standard/x/retry", { "content-type": "application/json; charset=x" }, "{}"],
      ["PUT", "/api/queues/claude.standard/x/retry", json, JSON.stringify("x".repeat(5_000_000))],
      ["GET", "/%E0%A4%A", {}, ""],
    ] as const) {
      const answer = await send(`${board.url}${path}`, { method, headers, body });
      expect(answer.status).toBeGreaterThanOrEqual(400);
      expect(answer.status).toBeLessThan(500);
      expect([path, answer.body]).toEqual([path, expect.stringMatching(/^\{/)]);
      expect(JSON.parse(answer.body)).toEqual({ error: expect.any(String), message: expect.any(String) });
      expect(answer.body).not.toContain(MARKER);
      expect(answer.body).not.toMatch(/at .*\.(js|ts)/);
    }
    expect(board.errors).toEqual([]);
  });

  test("a viewer's body is not read: it is refused before", async () => {
    await using board = await startBoard({ access: { type: "open" } });
    for (const path of ["/api/queues/claude.standard/x/update-data", "/dead-letters/replays"]) {
      const answer = await send(`${board.url}${path}`, { method: "POST", headers: json, body: `{${MARKER}` });
      expect([path, answer.status]).toEqual([path, 403]);
      expect(answer.body).toContain("needs the role operator");
    }
  });

  test("a body that comes with a read is nobody's: it is not parsed", async () => {
    await using board = await startBoard();
    const form = { "content-type": "application/x-www-form-urlencoded" };
    // More fields than a form may have.
    const body = "a=&".repeat(5_000);
    const headers = { ...form, "content-length": body.length };
    const answer = await send(`${board.url}/dead-letters`, { method: "GET", headers, body });
    expect(answer.status).toBe(200);
  });

  test("bytes that are no UTF-8 change nothing: neither as JSON nor in a form", async () => {
    await using board = await startBoard();
    const id = await board.dead();
    const queue = await board.classQueue("ValidationException");
    const revision = (await board.store.get(id))?.revision ?? "";
    const request = { messages: [{ role: "user", content: [{ text: "X" }] }], maxTokens: 10 };
    const odd = JSON.stringify({ jobData: { revision, request } }).replace('"X"', '"\u00ff"');
    const patch = { method: "PATCH", headers: { ...json, "content-length": odd.length } };
    const byJson = await send(`${queue}/${id}/update-data`, { ...patch, body: Buffer.from(odd, "latin1") });
    expect(byJson.status).toBe(400);
    const form = { "content-type": "application/x-www-form-urlencoded" };
    for (const note of ["%ff", "a%c3", "%ed%a0%80"]) {
      const path = `${board.url}/dead-letters/letter/${id}/note`;
      const { status } = await send(path, { method: "POST", headers: form, body: `note=${note}` });
      expect([note, status]).toEqual([note, 400]);
    }
    expect((await board.store.get(id))?.revision).toBe(revision);
    const path = `${board.url}/dead-letters/letter/${id}/note`;
    const right = await send(path, { method: "POST", headers: form, body: "note=Stra%C3%9Fe+%F0%9F%91%8D" });
    expect(right.status).toBe(303);
    expect((await board.store.get(id))?.history.at(-1)).toMatchObject({ note: "Straße 👍" });
  });

  test("no answer may be kept by a cache", async () => {
    await using board = await startBoard();
    const page = await (await fetch(board.url)).text();
    const asset = /(?:src|href)="(?:\.?\/)?(static\/[^"]+)"/.exec(page)?.[1] ?? "";
    expect(asset).not.toBe("");
    for (const path of [
      "",
      "healthz",
      "api/queues",
      "dead-letters",
      "dead-letters/page.css",
      "nowhere",
      asset,
    ]) {
      const { headers } = await fetch(`${board.url}/${path}`);
      expect([path, headers.get("cache-control")]).toEqual([path, "no-store"]);
    }
  });
});

/** `fetch` sets some headers itself. */
async function send(
  url: string,
  { method, headers, body = "" }: { method: string; headers: OutgoingHttpHeaders; body?: string | Buffer },
) {
  const request = httpRequest(url, { method, headers });
  // Whoever is refused early may find the connection closed under the rest of his body.
  request.on("error", () => {});
  request.end(body);
  const [response] = await once(request, "response");
  return { status: Number(response.statusCode), body: await text(response) };
}
