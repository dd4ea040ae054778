/** Dead letters as queues of Bull Board: every route for every adapter, and what its buttons do. */
import { appRoutes } from "@bull-board/api/dist/routes.js";
import { decodePayload } from "@sluice/job/payload";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { z } from "zod";
import { MARKER, QUEUES, startBoard, type TestBoard } from "./given.ts";

let board: TestBoard;

beforeAll(async () => {
  board = await startBoard({ replaysPerLane: 1_000 });
});

afterAll(async () => {
  await board[Symbol.asyncDispose]();
});

const jobSchema = z.looseObject({
  id: z.string(),
  data: z.looseObject({ revision: z.string().optional(), request: z.unknown() }),
  failedReason: z.string(),
  stacktrace: z.array(z.string()),
});
const queueSchema = z.looseObject({
  name: z.string(),
  description: z.string().optional(),
  counts: z.record(z.string(), z.number()),
  jobs: z.array(jobSchema),
});

async function call(method: string, path: string, body?: object): Promise<Response> {
  return fetch(`${board.url}${path}`, {
    method,
    ...(body === undefined
      ? {}
      : { headers: { "content-type": "application/json" }, body: JSON.stringify(body) }),
  });
}

async function queues(active = "", status = "latest", perPage = 10, page = 1) {
  const query = new URLSearchParams({
    activeQueue: active,
    status,
    page: String(page),
    jobsPerPage: String(perPage),
  });
  const response = await call("GET", `/api/queues?${query.toString()}`);
  expect(response.status).toBe(200);
  return z.object({ queues: z.array(queueSchema) }).parse(await response.json()).queues;
}

async function queue(errorClass: string, status = "latest", perPage = 10, page = 1) {
  const name = `dead-letter.${errorClass}`;
  const found = (await queues(name, status, perPage, page)).find((each) => each.name === name);
  if (found === undefined) throw new Error(`The board has no queue ${name}`);
  return found;
}

/** A letter of a class that no other test has, once the board shows it. */
async function given(errorClass: string, count = 1, text?: string) {
  const ids: string[] = [];
  for (let index = 0; index < count; index += 1) {
    ids.push(await board.dead({ errorClass, ...(text === undefined ? {} : { text }) }));
  }
  await vi.waitFor(async () => queue(errorClass));
  return { ids, id: ids[0] ?? "", base: `/api/queues/dead-letter.${errorClass}` };
}

async function job(base: string, id: string) {
  const response = await call("GET", `${base}/${id}`);
  expect(response.status).toBe(200);
  return z.object({ job: jobSchema, status: z.string() }).parse(await response.json());
}

test("a class gets its queue, after the lanes, as soon as a letter of it is there", async () => {
  await given("BrandNewException");
  const names = (await queues()).map(({ name }) => name);
  expect(names.slice(0, QUEUES.length).toSorted()).toEqual([...QUEUES].toSorted());
  expect(names.slice(QUEUES.length)).toContain("dead-letter.BrandNewException");
});

test("the times of a letter are those of its latest life, and none is before the one before it", async () => {
  const { id, base } = await given("TimedException");
  const times = async (): Promise<(number | null | undefined)[]> => {
    const timed = z.looseObject({
      timestamp: z.number(),
      processedOn: z.number(),
      finishedOn: z.number().nullish(),
    });
    const { timestamp, processedOn, finishedOn } = timed.parse((await job(base, id)).job);
    expect(processedOn).toBeGreaterThanOrEqual(timestamp);
    expect(finishedOn ?? processedOn).toBeGreaterThanOrEqual(processedOn);
    return [timestamp, processedOn, finishedOn];
  };
  const died = (await board.store.look(id))?.diedAt;
  expect((await times())[2]).toBe(died);
  await board.store.claim(id, { by: "ann", replays: 0, leaseMs: 60_000 });
  const claimed = (await board.store.look(id))?.history.at(-1)?.at;
  expect((await times()).slice(1)).toEqual([claimed, null]);
  await board.store.resolve(`${id}.r1`);
  const resolved = (await board.store.look(id))?.history.at(-1)?.at;
  expect((await times()).slice(1)).toEqual([claimed, resolved]);
});

describe("every route of Bull Board for every queue answers as its own schemas say", () => {
  const routes = appRoutes.api.flatMap(({ method, route }) =>
    [route].flat().map((path) => ({ method: String(method).toUpperCase(), path })),
  );
  const EVERY_FIELD = {
    name: "x",
    data: {},
    options: {},
    jobData: {},
    runAt: 1,
    priority: 1,
    concurrency: 1,
    max: 1,
    duration: 1_000,
    every: 60_000,
  };

  test.each(routes)("$method $path", async ({ method, path }) => {
    const { id } = await given("ContractException");
    for (const name of ["dead-letter.ContractException", ...QUEUES]) {
      for (const status of ["failed", "active", "completed", "delayed"]) {
        const values: Record<string, string> = {
          queueName: name,
          jobId: id,
          queueStatus: status,
          schedulerId: "none",
        };
        const url = path.replaceAll(/:(\w+)/g, (_, key: string) => values[key] ?? key);
        const response = await call(method, url, method === "GET" ? undefined : EVERY_FIELD);
        const text = await response.text();
        // A response that is not as its schema says is 500.
        if (response.status === 500) throw new Error(`${url}: ${text}`);
        expect(text).not.toContain(MARKER);
      }
    }
  });
});

test("shows a letter on the tab of its state, with its error and without its prompt", async () => {
  const { id, base } = await given("ShownException");
  const failed = await queue("ShownException", "failed");
  expect(failed.counts).toMatchObject({ failed: 1, active: 0, completed: 0, delayed: 0 });
  expect(failed.jobs).toMatchObject([{ id, failedReason: "ShownException: Too long" }]);
  const shown = await job(base, id);
  expect(shown.status).toBe("failed");
  expect(shown.job.data.request).toEqual({
    messages: [
      {
        role: "user",
        content: [
          {
            text: expect.stringMatching(
              /^⟦redacted [0-9a-f]{8}:\/messages\/0\/content\/0\/text, \d+ characters⟧$/,
            ),
          },
        ],
      },
    ],
    maxTokens: 10,
  });
  const logs = await (await call("GET", `${base}/${id}/logs`)).json();
  expect(logs).toEqual([expect.stringContaining(`${id} died: ShownException: Too long`)]);
});

test("five clicks on retry start one replay; the letter moves on", async () => {
  const { id, base } = await given("RetriedException");
  const clicks = await Promise.all(Array.from({ length: 5 }, async () => call("PUT", `${base}/${id}/retry`)));
  const statuses = clicks.map(({ status }) => status);
  expect(statuses).toContain(204);
  // A click that comes after the claim finds a letter that is not dead.
  for (const status of statuses) expect([204, 400]).toContain(status);
  expect((await board.lane.find(`${id}.r1`))?.state).toBe("waiting");
  expect(await board.lane.find(`${id}.r2`)).toBeUndefined();
  expect((await queue("RetriedException")).counts).toMatchObject({ failed: 0, active: 1 });
  expect(await board.store.get(id)).toMatchObject({ state: "replaying", replays: 1, claim: { by: "local" } });

  await board.store.resolve(`${id}.r1`);
  const resolved = await job(base, id);
  expect(resolved).toMatchObject({ status: "completed", job: { failedReason: "", stacktrace: [] } });
  expect((await call("PUT", `${base}/${id}/retry`)).status).toBe(409);
});

test("retry all replays them all, a few at a time; a single one has to wait until there is room", async () => {
  await using paced = await startBoard({ replaysPerLane: 4 });
  const ids: string[] = [];
  for (let index = 0; index < 10; index += 1) ids.push(await paced.dead({ errorClass: "ManyException" }));
  const base = await paced.classQueue("ManyException");
  const response = await fetch(`${base}/retry/failed`, { method: "PUT" });
  expect(await response.json()).toEqual({ retried: 10, skipped: 0 });
  const lane = { pool: "claude", lane: "standard" };
  const replaying = async () => {
    const page = await paced.store.list({ state: "replaying", by: { lane }, limit: 100 });
    return page.items.map(({ id }) => id);
  };
  await vi.waitFor(async () => expect(await replaying()).toHaveLength(4));

  const [waiting = ""] = ids.filter((id) => !ids.slice(-4).includes(id));
  await vi.waitFor(async () => expect((await fetch(`${base}/${waiting}`)).status).toBe(200));
  const single = await fetch(`${base}/${waiting}/retry`, { method: "PUT" });
  expect([single.status, await single.text()]).toEqual([
    409,
    expect.stringContaining("as many replays as it may"),
  ]);

  const resolved = new Set<string>();
  await vi.waitFor(
    async () => {
      const now = await replaying();
      expect(now.length).toBeLessThanOrEqual(4);
      for (const id of now) {
        await paced.store.resolve(`${id}.r1`);
        resolved.add(id);
      }
      expect([...resolved].toSorted()).toEqual(ids.toSorted());
    },
    { timeout: 15_000 },
  );
  await vi.waitFor(() => expect(paced.audit).toHaveLength(5));
  const [asked, started, one, refused, ended] = paced.audit;
  expect([asked, started, one, refused, ended]).toMatchObject([
    { phase: "intent", id: started?.id },
    {
      phase: "result",
      status: 200,
      detail: expect.stringMatching(/^replay \S+ of 10 letters: class ManyException$/),
    },
    { phase: "intent", id: refused?.id },
    { phase: "result", status: 409 },
    { phase: "result", detail: "replay of 10 letters ended: 10 queued, 0 claimed: class ManyException" },
  ]);
  expect(started?.detail).toContain(ended?.id ?? "no id");
});

describe("an edit", () => {
  test("keeps what nobody touched, without showing it", async () => {
    const { id, base } = await given("EditedException");
    const { data } = (await job(base, id)).job;
    const request = z.looseObject({}).parse(data.request);
    const jobData = { ...data, request: { ...request, maxTokens: 7, system: "Be brief" } };
    const response = await call("PATCH", `${base}/${id}/update-data`, { jobData });
    expect(response.status).toBe(200);
    const stored = await board.store.get(id);
    expect(stored && (await decodePayload(stored.data.payload))).toEqual({
      messages: [{ role: "user", content: [{ text: MARKER }] }],
      maxTokens: 7,
      system: "Be brief",
    });
    expect(stored?.history.at(-1)).toMatchObject({ event: "edited", by: "local" });
    // The form that is still open in another window.
    expect((await call("PATCH", `${base}/${id}/update-data`, { jobData })).status).toBe(409);
  });

  test.each([
    ["a placeholder mixed with text", (text: string) => `Please ${text}`],
    ["a placeholder that was cut", (text: string) => text.slice(0, -3)],
    ["a placeholder for nothing", (text: string) => text.replace("/content/0", "/content/9")],
  ])("with %s is refused", async (_, change) => {
    const { id, base } = await given("MixedException");
    const { data } = (await job(base, id)).job;
    const text = JSON.stringify(data.request).match(/⟦[^⟧]*⟧/)?.[0] ?? "";
    const request: unknown = JSON.parse(JSON.stringify(data.request).replace(text, change(text)));
    const response = await call("PATCH", `${base}/${id}/update-data`, { jobData: { ...data, request } });
    expect(response.status).toBe(400);
    expect((await board.store.get(id))?.revision).toBe(data.revision);
  });

  test("that the front door would not accept is refused, without quoting it", async () => {
    const { id, base } = await given("InvalidException");
    const { revision } = (await job(base, id)).job.data;
    const request = { messages: [{ role: MARKER, content: [{ text: MARKER }] }], maxTokens: 10 };
    const response = await call("PATCH", `${base}/${id}/update-data`, { jobData: { revision, request } });
    expect(response.status).toBe(400);
    const text = await response.text();
    expect(text).toContain("messages.0.role");
    expect(text).not.toContain(MARKER);
  });

  test.each([
    ["nested too deeply", () => JSON.parse(`${"[".repeat(200)}${"]".repeat(200)}`) as unknown, "64 levels"],
    ["with half of a character", () => ({ text: "\uD83D" }), "surrogate"],
  ])("%s is refused as at the front door", async (_, content, says) => {
    const { id, base } = await given("DeepException");
    const { revision } = (await job(base, id)).job.data;
    const request = { messages: [{ role: "user", content: [content()] }], maxTokens: 10 };
    const response = await call("PATCH", `${base}/${id}/update-data`, { jobData: { revision, request } });
    expect(response.status).toBe(400);
    expect(await response.text()).toContain(says);
  });

  test.each([
    ["a number that a double would change", '"seed":12345678901234567890', "double"],
    ["a key that comes twice", '"maxTokens":5,"maxTokens":6', "Expected each key of an object once"],
    ["a key that would change every object", '"__proto__":{"maxTokens":6}', "__proto__"],
  ])("with %s is refused, since another request would be kept", async (_, part, says) => {
    const { id, base } = await given("InexactException");
    const { revision } = (await job(base, id)).job.data;
    const request = `{"messages":[{"role":"user","content":[{"text":"X"}]}],"maxTokens":10,"inferenceConfig":{${part}}}`;
    const response = await fetch(`${board.url}${base}/${id}/update-data`, {
      method: "PATCH",
      headers: { "content-type": "application/json" },
      body: `{"jobData":{"revision":${JSON.stringify(revision)},"request":${request}}}`,
    });
    expect(response.status).toBe(400);
    expect(await response.text()).toContain(says);
    expect((await board.store.get(id))?.revision).toBe(revision);
  });

  test("from the list, which has no request to edit, is refused", async () => {
    const { id, base } = await given("ListedException");
    const [listed] = (await queue("ListedException", "failed")).jobs;
    const response = await call("PATCH", `${base}/${id}/update-data`, { jobData: listed?.data ?? {} });
    expect(response.status).toBe(400);
  });

  test("may be of a request of nearly 1 MiB", async () => {
    const { id, base } = await given("LongException");
    const { revision } = (await job(base, id)).job.data;
    const request = {
      messages: [{ role: "user", content: [{ text: "x".repeat(1_000_000) }] }],
      maxTokens: 10,
    };
    const response = await call("PATCH", `${base}/${id}/update-data`, { jobData: { revision, request } });
    expect(response.status).toBe(200);
  });
});

test("pages follow each other without gaps", async () => {
  const { ids } = await given("PagedException", 25);
  const pages = [];
  for (const page of [1, 2, 3]) pages.push(await queue("PagedException", "failed", 10, page));
  const found = pages.flatMap(({ jobs }) => jobs.map(({ id }) => id));
  expect(found.toSorted()).toEqual(ids.toSorted());
  expect((await queue("PagedException", "failed", 10, 3)).jobs).toHaveLength(5);
  expect((await queue("PagedException", "failed", 100_000)).jobs).toHaveLength(25);
});

test("a letter is deleted, or a whole tab but for what has just died", async () => {
  const { ids, id, base } = await given("CleanedException", 3);
  const young = await board.dead({ errorClass: "CleanedException", diedAt: Date.now() });
  expect((await call("PUT", `${base}/${id}/clean`)).status).toBe(204);
  expect(await board.store.get(id)).toBeUndefined();
  expect((await call("PUT", `${base}/clean/failed`)).status).toBe(200);
  for (const gone of ids) expect(await board.store.get(gone)).toBeUndefined();
  expect(await board.store.get(young)).toMatchObject({ state: "dead" });
});

test("a parked letter is on the delayed tab, and comes back from there", async () => {
  const { id, base } = await given("ParkedException");
  await board.store.park(id, { by: "ann", note: "waits for legal" });
  expect((await queue("ParkedException", "delayed")).jobs).toMatchObject([{ id }]);
  expect((await call("PUT", `${base}/${id}/promote`)).status).toBe(204);
  expect(await board.store.get(id)).toMatchObject({ state: "dead" });
});

test("every write is written down with who and what", async () => {
  const { id, base } = await given("AuditedException");
  await call("PUT", `${base}/${id}/retry`);
  await vi.waitFor(() => expect(board.audit.at(-1)).toMatchObject({ phase: "result" }));
  const [intent, result] = board.audit.slice(-2);
  const asked = {
    id: expect.stringMatching(/^[0-9a-f-]{36}$/),
    user: "local",
    role: "admin",
    from: "127.0.0.1",
    method: "PUT",
    path: `${base}/${id}/retry`,
  };
  expect(intent).toEqual({ ...asked, phase: "intent" });
  expect(result).toEqual({ ...asked, id: intent?.id, phase: "result", status: 204 });
  expect(board.audit.every(({ method }) => method !== "GET")).toBe(true);
});
