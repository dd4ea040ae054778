/** The pages of dead letters: searches by URL, dry runs, paced replays with progress, and data that wants to break out. */
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { startBoard, type TestBoard } from "./given.ts";

const HOUR_MS = 3_600_000;

let board: TestBoard;

beforeAll(async () => {
  board = await startBoard();
});

afterAll(async () => {
  await board[Symbol.asyncDispose]();
});

async function get(path: string) {
  const response = await fetch(`${board.url}/dead-letters${path}`, { redirect: "manual" });
  return { status: response.status, location: response.headers.get("location"), html: await response.text() };
}

async function post(path: string, fields: [string, string][]) {
  const response = await fetch(`${board.url}/dead-letters${path}`, {
    method: "POST",
    body: new URLSearchParams(fields),
    redirect: "manual",
  });
  return {
    status: response.status,
    location: response.headers.get("location") ?? "",
    html: await response.text(),
  };
}

/** Ids of the letters that a search page lists. */
function listed(html: string): string[] {
  return [...html.matchAll(/name="letter" value="([^"~]+)~/g)].map(([, id = ""]) => id);
}

async function found(query: Record<string, string>): Promise<string[]> {
  const { status, html } = await get(`?${new URLSearchParams(query).toString()}`);
  expect(status).toBe(200);
  return listed(html);
}

describe("a search", () => {
  test("is by class, tenant, pool, lane, time and state, alone and together", async () => {
    const now = Date.now();
    const a = await board.dead({ errorClass: "SearchA", tenant: "first", diedAt: now - 3 * HOUR_MS });
    const b = await board.dead({ errorClass: "SearchA", tenant: "second", diedAt: now - 2 * HOUR_MS });
    const c = await board.dead({ errorClass: "SearchB", tenant: "first", diedAt: now - HOUR_MS });
    await vi.waitFor(async () => expect(await found({})).toEqual(expect.arrayContaining([a, b, c])));

    expect(await found({ class: "SearchA" })).toEqual([b, a]);
    expect(await found({ tenant: "first" })).toEqual([c, a]);
    expect(await found({ tenant: "first", class: "SearchA" })).toEqual([a]);
    expect(await found({ pool: "claude", class: "SearchB" })).toEqual([c]);
    expect(await found({ pool: "nova" })).toEqual([]);
    expect(await found({ pool: "claude", lane: "standard", tenant: "second" })).toEqual([b]);
    expect(await found({ lane: "bulk", class: "SearchA" })).toEqual([]);
    const until = new Date(now - 1.5 * HOUR_MS).toISOString().slice(0, 19);
    const from = new Date(now - 2.5 * HOUR_MS).toISOString().slice(0, 19);
    expect(await found({ class: "SearchA", from })).toEqual([b]);
    expect(await found({ tenant: "first", until })).toEqual([a]);

    await board.store.park(a, { by: "ann" });
    expect(await found({ class: "SearchA" })).toEqual([b]);
    expect(await found({ class: "SearchA", state: "parked" })).toEqual([a]);
  });

  test("for text looks at messages, says how far it got, and goes on", async () => {
    const odd = await board.dead({ errorClass: "TextSearch", message: "The needle is here", diedAt: 1_000 });
    for (let index = 0; index < 30; index += 1) {
      await board.dead({ errorClass: "TextSearch", message: `Hay ${index}` });
    }
    await vi.waitFor(async () => expect(await found({ class: "TextSearch", text: "NEEDLE" })).toEqual([odd]));
    const first = await get("?class=TextSearch&text=hay");
    expect(listed(first.html)).toHaveLength(25);
    const next =
      /rel="next" href="\/dead-letters([^"]+)"/.exec(first.html)?.[1]?.replaceAll("&amp;", "&") ?? "";
    const second = await get(next);
    expect(listed(second.html)).toHaveLength(5);
    expect(second.html).toContain("The search is complete");
  });

  test("for an id opens the letter, also by the id of its replay", async () => {
    const id = await board.dead();
    expect(await get(`?id=${id}.r7`)).toMatchObject({ status: 303, location: `/dead-letters/letter/${id}` });
    const page = await get(`/letter/${id}`);
    expect(page.html).toContain(`/queue/dead-letter.ValidationException/${id}`);
    expect((await get("/letter/unknown")).status).toBe(404);
  });

  test.each([
    "?state=gone",
    "?class=%3Cscript%3E",
    "?from=yesterday",
    "?cursor=x&class=A",
    "?pool=NO",
    "?tenant[a]=b",
    "?id=a&id=b",
    "?cursor=a&cursor=b",
    "?class=A&class=B",
  ])("%s is refused in words, or means nothing", async (query) => {
    const before = board.errors.length;
    const { status, html } = await get(query);
    expect([200, 400]).toContain(status);
    expect(html).not.toContain("<script>");
    expect(board.errors.length).toBe(before);
  });
});

describe("a replay of many", () => {
  test("is shown as a dry run first, then runs and tells how far it is", async () => {
    const ids = await Promise.all(
      Array.from({ length: 5 }, async () => board.dead({ errorClass: "DryRun" })),
    );
    const fields: [string, string][] = [
      ["scope", "filter"],
      ["class", "DryRun"],
    ];
    const dry = await post("/replays", fields);
    expect(dry).toMatchObject({ status: 200, html: expect.stringContaining("5 letters would be replayed") });
    for (const id of ids) expect((await board.store.get(id))?.state).toBe("dead");

    const started = await post("/replays", [...fields, ["start", "yes"]]);
    expect(started.status).toBe(303);
    const run = started.location.replace("/dead-letters", "");
    await vi.waitFor(async () => expect((await get(run)).html).toContain("All are on their way: 5 of 5"));
    for (const id of ids) expect((await board.store.get(id))?.state).toBe("replaying");
    expect((await get("/replays")).html).toContain("class DryRun");
    const id = run.replace("/replays/", "");
    await vi.waitFor(() =>
      expect(board.audit.slice(-3)).toMatchObject([
        { phase: "intent" },
        { phase: "result", detail: `replay ${id} of 5 letters: state dead, class DryRun` },
        { phase: "result", id, detail: expect.stringContaining("5 letters ended: 5 queued") },
      ]),
    );
  });

  test("is of the ticked letters alone, and of none that somebody else has replayed since", async () => {
    const [a = "", b = "", c = ""] = await Promise.all(
      [0, 1, 2].map(async () => board.dead({ errorClass: "Ticked" })),
    );
    await board.store.claim(b, { by: "ben", replays: 0, leaseMs: 60_000 });
    const started = await post("/replays", [
      ["scope", "ticked"],
      ["letter", `${a}~0`],
      ["letter", `${b}~0`],
      ["start", "yes"],
    ]);
    const run = started.location.replace("/dead-letters", "");
    await vi.waitFor(async () => expect((await get(run)).html).toContain("Ended: 1 of 2"));
    expect((await get(run)).html).toContain("somebody else was faster");
    expect(await board.store.get(a)).toMatchObject({ state: "replaying", claim: { by: "local" } });
    expect(await board.store.get(b)).toMatchObject({ claim: { by: "ben" } });
    expect((await board.store.get(c))?.state).toBe("dead");
  });

  test("is one run however many click, and who comes later is told of it", async () => {
    await using slow = await startBoard({ replaysPerLane: 1 });
    for (let index = 0; index < 3; index += 1) await slow.dead({ errorClass: "Clicked" });
    const base = await slow.classQueue("Clicked");
    const search = new URLSearchParams({ scope: "filter", class: "Clicked", start: "yes" });
    const clicks = Array.from({ length: 15 }, async () => [
      (await fetch(`${base}/retry/failed`, { method: "PUT" })).status,
      (
        await fetch(`${slow.url}/dead-letters/replays`, { method: "POST", body: search, redirect: "manual" })
      ).headers.get("location"),
    ]);
    const answers = (await Promise.all(clicks)).flat();
    const overview = await (await fetch(`${slow.url}/dead-letters/replays`)).text();
    const runs = [...overview.matchAll(/href="\/dead-letters\/replays\/([^"]+)"/g)].map(([, id]) => id);
    expect(runs).toHaveLength(1);
    const location = `/dead-letters/replays/${runs[0] ?? ""}`;
    for (const answer of answers.filter((each) => typeof each === "string")) {
      expect([location, `${location}?joined`]).toContain(answer);
    }
    expect(answers.filter((status) => status === 200).length).toBeLessThanOrEqual(1);
    expect(await (await fetch(`${slow.url}${location}?joined`)).text()).toContain(
      "No other replay was started: this one has the letters. local has started",
    );
  });

  test("waits for its turn: a few are under way at once, and the next is refused in words", async () => {
    await using slow = await startBoard({ replaysPerLane: 1 });
    const start = async (errorClass: string): Promise<Response> => {
      const body = new URLSearchParams({ scope: "filter", class: errorClass, start: "yes" });
      return fetch(`${slow.url}/dead-letters/replays`, { method: "POST", body, redirect: "manual" });
    };
    const answers: Response[] = [];
    for (const errorClass of ["A", "B", "C", "D", "E", "F"]) {
      await slow.dead({ errorClass });
      await slow.dead({ errorClass });
      answers.push(await start(errorClass));
    }
    expect(answers.map(({ status }) => status)).toEqual([303, 303, 303, 303, 303, 409]);
    expect(await answers[5]?.text()).toContain("5 replays are under way, as many as may be");
    const first = answers[0]?.headers.get("location") ?? "";
    await fetch(`${slow.url}${first}/stop`, { method: "POST", redirect: "manual" });
    await vi.waitFor(async () => expect((await start("F")).status).toBe(303));
  });

  test("does not take what is not an id", async () => {
    expect(
      (
        await post("/replays", [
          ["scope", "ticked"],
          ["letter", "../../etc~0"],
        ])
      ).status,
    ).toBe(404);
    expect((await post("/replays", [])).status).toBe(400);
  });
});

test("a letter is edited, parked, taken back, noted, replayed and deleted from its page", async () => {
  const id = await board.dead({ errorClass: "OnPage" });
  const { revision = "" } = (await board.store.get(id)) ?? {};
  const request = JSON.stringify({
    messages: [{ role: "user", content: [{ text: "short" }] }],
    maxTokens: 5,
  });
  for (const bad of [
    "{not json",
    request.replace("5", "9007199254740993"),
    request.replace("{", '{"maxTokens":4,'),
  ]) {
    const reply = await post(`/letter/${id}/edit`, [
      ["revision", revision],
      ["request", bad],
    ]);
    expect(reply.status).toBe(400);
  }
  expect(
    (
      await post(`/letter/${id}/edit`, [
        ["revision", revision],
        ["request", request],
      ])
    ).status,
  ).toBe(303);
  expect((await post(`/letter/${id}/park`, [["note", "later"]])).status).toBe(303);
  expect((await post(`/letter/${id}/unpark`, [])).status).toBe(303);
  expect((await post(`/letter/${id}/note`, [["note", "checked"]])).status).toBe(303);
  expect((await post(`/letter/${id}/replay`, [["replays", "0"]])).status).toBe(303);
  const events = (await board.store.get(id))?.history.map(({ event }) => event);
  expect(events).toEqual(["died", "edited", "parked", "unparked", "noted", "claimed"]);
  // Its replay runs.
  const running = await board.store.get(id);
  expect((await post(`/letter/${id}/purge`, [["revision", running?.revision ?? ""]])).status).toBe(409);
  await board.store.resolve(`${id}.r1`);
  const resolved = await board.store.get(id);
  expect((await post(`/letter/${id}/purge`, [["revision", resolved?.revision ?? ""]])).status).toBe(303);
  expect(await board.store.get(id)).toBeUndefined();
});

describe("hostile data stays data", () => {
  const HOSTILE = {
    "a script": `</textarea></pre><script>alert(1)</script><img src=x onerror=alert(1)>`,
    "a line of 1 MB": "x".repeat(1_000_000),
    "emoji, halves of them, and directions of text": "🔥👩‍👩‍👧 \ud83d \u202egnol",
    "control characters": "\u0000\u0007\u001b[31m\u009b",
  };

  test.each(Object.entries(HOSTILE))("%s", async (_, hostile) => {
    const id = await board.dead({ errorClass: "Hostile", text: hostile, message: hostile.slice(0, 400) });
    const page = await get(`/letter/${id}?prompt=full`);
    expect(page.status).toBe(200);
    for (const { html } of [page, await get("?class=Hostile"), await get(`/letter/${id}`)]) {
      expect(html).not.toMatch(/<script>|<img|<\/textarea><\/pre>/);
      // oxlint-disable-next-line no-control-regex -- it is what must not be there
      expect(html).not.toMatch(/[\u0000-\u0008\u001b\u007f-\u009f\u202e]/);
    }
    const json = await vi.waitUntil(async () => {
      const response = await fetch(`${board.url}/api/queues/dead-letter.Hostile/${id}`);
      return response.status === 404 ? undefined : response;
    });
    expect(json.status).toBe(200);
    expect(json.headers.get("content-type")).toContain("application/json");
    expect(json.headers.get("x-content-type-options")).toBe("nosniff");
  });
});
