/** Letters that stick elsewhere: where the job is by now, what is damaged, what has no lane, what is not ours. */
import { OutcomeStore } from "@sluice/results";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { startBoard, type TestBoard } from "./given.ts";

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

test("a letter's page says where its job is now, through all its replays", async () => {
  const id = await board.dead({ errorClass: "Followed" });
  const jobNow = async (): Promise<string | undefined> =>
    /<dt>The job now<\/dt>\s*<dd>([^<]*)<\/dd>/.exec((await get(`/letter/${id}`)).html)?.[1];
  expect(await jobNow()).toBe("dead");
  expect((await post(`/letter/${id}/replay`, [["replays", "0"]])).status).toBe(303);
  expect(await jobNow()).toBe("waiting, as replay 1");
  const end = { id: `${id}.r1`, tenant: "acme", acceptedAt: 1, endedAt: 2, attempts: 1 };
  await new OutcomeStore(board.redis, board.space).put({ ...end, outcome: "cancelled" });
  expect(await jobNow()).toBe("cancelled, as replay 1");
});

describe("what cannot go on can be closed", () => {
  test("a letter whose data is damaged: noted, parked and deleted, passed over by a replay", async () => {
    const id = await board.dead({ errorClass: "DamagedBody" });
    await board.damage(id, "body.sha256", { S: "0".repeat(64) });
    const page = await get(`/letter/${id}`);
    expect(page).toMatchObject({
      status: 200,
      html: expect.stringContaining("The stored request cannot be read"),
    });
    const opened = await fetch(`${await board.classQueue("DamagedBody")}/${id}`);
    expect([opened.status, await opened.text()]).toEqual([200, expect.stringContaining("cannot be read")]);
    expect(await post(`/letter/${id}/replay`, [["replays", "0"]])).toMatchObject({
      status: 409,
      html: expect.stringContaining("cannot be read"),
    });
    const run = (
      await post("/replays", [
        ["scope", "filter"],
        ["class", "DamagedBody"],
        ["start", "yes"],
      ])
    ).location.replace("/dead-letters", "");
    await vi.waitFor(async () => expect((await get(run)).html).toContain("Ended: 0 of 1"));
    expect((await post(`/letter/${id}/park`, [["note", "Damaged"]])).status).toBe(303);
    const { revision = "" } = (await board.store.look(id)) ?? {};
    expect((await post(`/letter/${id}/purge`, [["revision", revision]])).status).toBe(303);
    expect(await board.store.look(id)).toBeUndefined();
  });

  test("a record that is no letter: named by the search, hiding no other, and deleted", async () => {
    const [broken, sound] = [
      await board.dead({ errorClass: "DamagedLetter" }),
      await board.dead({ errorClass: "DamagedLetter" }),
    ];
    await board.damage(broken, "deaths", { S: "many" });
    const search = await get("?class=DamagedLetter");
    expect(listed(search.html)).toEqual([sound]);
    expect(search.html).toContain(`/dead-letters/letter/${broken}`);
    const page = await get(`/letter/${broken}`);
    expect(page.html).toContain("it can only be deleted");
    const revision = /name="revision" value="([^"]+)"/.exec(page.html)?.[1] ?? "";
    expect((await post(`/letter/${broken}/purge`, [["revision", revision]])).status).toBe(303);
    expect((await get(`/letter/${broken}`)).status).toBe(404);
  });

  test("a replay whose lane left the pools file is taken back, and one whose lane is there is its workers'", async () => {
    const gone = await board.dead({ errorClass: "Gone", lane: "retired" });
    const here = await board.dead({ errorClass: "Gone" });
    for (const id of [gone, here]) await board.store.claim(id, { by: "ben", replays: 0, leaseMs: 1 });
    expect((await get(`/letter/${gone}`)).html).toContain("Take the replay back");
    expect((await get(`/letter/${here}`)).html).not.toContain("Take the replay back");
    expect((await post(`/letter/${here}/take-back`, [])).status).toBe(409);
    expect((await post(`/letter/${gone}/take-back`, [])).status).toBe(303);
    const letter = await board.store.look(gone);
    expect(letter).toMatchObject({ state: "dead", replays: 1 });
    expect(letter?.history.at(-1)).toMatchObject({
      by: "local",
      note: `${gone}.r1 taken back: the pools file has no lane claude.retired`,
    });
  });

  test("a letter that a version before stored under a foreign id: replayed from its page and by ticking it", async () => {
    const ids = [`1108-${Date.now()}`, `1109-${Date.now()}`];
    for (const id of ids) {
      const payload = { encoding: "json", json: "{}" } as const;
      const names = { tenant: "unknown", pool: "claude", lane: "standard", kind: "converse" } as const;
      const data = {
        version: 1,
        id,
        ...names,
        payload,
        acceptedAt: 1,
        deadlineAt: 1,
        maxAttempts: 1,
      } as const;
      const failure = { kind: "terminal", errorClass: "Foreign", message: "no" } as const;
      await board.store.put({ data, failure, attempts: 1, stalls: 0, diedAt: 5 });
    }
    const [first = "", second = ""] = ids;
    expect((await post(`/letter/${first}/replay`, [["replays", "0"]])).status).toBe(303);
    const run = await post("/replays", [
      ["scope", "ticked"],
      ["letter", `${second}~0`],
      ["start", "yes"],
    ]);
    expect(run.status).toBe(303);
    await vi.waitFor(async () =>
      expect(await board.store.look(second)).toMatchObject({
        state: "replaying",
        claim: { jobId: `${second}.r1` },
      }),
    );
    expect(await board.store.look(first)).toMatchObject({ state: "replaying" });
  });
});
