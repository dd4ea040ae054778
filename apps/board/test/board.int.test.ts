/** The board over HTTP: all lanes, no prompt, no write. Asked through every route that Bull Board has. */
import { appRoutes } from "@bull-board/api/dist/routes.js";
import { queueName } from "@sluice/job";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { FAILED_REASON, FULL, MARKER, QUEUES, startBoard } from "./given.ts";

let board: Awaited<ReturnType<typeof startBoard>>;

beforeAll(async () => {
  board = await startBoard();
});

afterAll(async () => {
  await board[Symbol.asyncDispose]();
});

const routes = appRoutes.api.flatMap(({ method, route }) =>
  [route].flat().map((path) => ({ method: String(method).toUpperCase(), path })),
);
const reads = routes.filter(({ method }) => method === "GET");
const writes = routes.filter(({ method }) => method !== "GET");

const STATES = ["latest", "active", "waiting", "prioritized", "delayed", "completed", "failed"] as const;

const jobSchema = z.looseObject({
  id: z.string(),
  name: z.string(),
  data: z.unknown(),
  failedReason: z.string().optional(),
});
const overviewSchema = z.object({
  queues: z.array(
    z.looseObject({
      name: z.string(),
      readOnlyMode: z.boolean(),
      jobs: z.array(jobSchema),
      counts: z.record(z.string(), z.number()),
    }),
  ),
});

async function overview(status: string = "latest") {
  const query = new URLSearchParams({ activeQueue: FULL, status, page: "1", jobsPerPage: "20" });
  const response = await fetch(`${board.url}/api/queues?${query.toString()}`);
  expect(response.status).toBe(200);
  return overviewSchema.parse(await response.json()).queues;
}

async function full(status?: string) {
  const queue = (await overview(status)).find(({ name }) => name === FULL);
  if (queue === undefined) throw new Error(`The board does not list ${FULL}`);
  return queue;
}

/** A job's own page. */
async function opened(id: string) {
  const response = await fetch(`${board.url}/api/queues/${FULL}/${id}`);
  expect(response.status).toBe(200);
  return z.object({ job: jobSchema }).parse(await response.json()).job;
}

/** A route of Bull Board with its placeholders filled in. */
function fill(path: string, jobId: string): string {
  const values: Record<string, string> = {
    queueName: FULL,
    jobId,
    queueStatus: "failed",
    schedulerId: "none",
  };
  return path.replaceAll(/:(\w+)/g, (_, name: string) => values[name] ?? name);
}

/** Valid for every route, so that it is not the body that is refused. */
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

test("serves its page and says that it lives", async () => {
  const page = await fetch(board.url);
  expect(page.status).toBe(200);
  expect(await page.text()).toContain("<title>Sluice</title>");
  expect(page.headers.get("content-security-policy")).toContain("default-src 'self'");
  expect(page.headers.get("x-frame-options")).toBe("DENY");
  expect((await fetch(`${board.url}/healthz`)).status).toBe(200);
  expect(await (await fetch(`${board.url}/readyz`)).json()).toEqual({ status: "ready" });
});

test("lists every lane under its pool, read-only", async () => {
  const queues = await overview();
  expect(queues.map(({ name }) => name).toSorted()).toEqual([...QUEUES].toSorted());
  expect(queues.map(({ readOnlyMode }) => readOnlyMode)).toEqual(QUEUES.map(() => true));
  expect(queues.map(({ delimiter }) => delimiter)).toEqual(QUEUES.map(() => "."));
});

test("counts the jobs of a lane by state, and shows the failed one with its error", async () => {
  expect((await full()).counts).toMatchObject({
    active: 1,
    completed: 1,
    delayed: 1,
    failed: 1,
    prioritized: 2,
    waiting: 0,
  });
  const [failed, ...others] = (await full("failed")).jobs;
  expect(others).toEqual([]);
  expect(failed).toMatchObject({ id: board.jobs.failed.id, failedReason: FAILED_REASON, isFailed: true });
});

test("lists jobs by their size, and shows on a job's own page who it is of", async () => {
  const { waiting, long } = board.jobs;
  const jobs = new Map((await full("prioritized")).jobs.map((job) => [job.id, job]));
  for (const { id } of [waiting, long]) {
    expect(jobs.get(id)).toMatchObject({ name: "converse", data: { storedBytes: expect.any(Number) } });
    expect(JSON.stringify(jobs.get(id))).not.toContain("acme");
  }
  const { payload: _, ...visible } = waiting;
  expect((await opened(waiting.id)).data).toEqual({
    ...visible,
    payload: { encoding: "json", storedCharacters: expect.any(Number) },
  });
  expect((await opened(long.id)).data).toMatchObject({ payload: { encoding: "gzip" } });
});

test("an answered job shows no error of a try before, and says how it ended where that is not by an answer", async () => {
  const { add, fetchNext, redis, space } = board;
  const hash = (id: string): string => `${space}:${queueName("claude", "standard")}:${id}`;
  const ends: string[] = [];
  for (const outcome of ["completed", "filtered", "cancelled", "started"]) {
    await add(MARKER);
    const job = await fetchNext();
    await redis.hset(hash(job.id ?? ""), {
      failedReason: "ThrottlingException: slow",
      stacktrace: '["slow"]',
    });
    await job.moveToCompleted({ outcome }, "token", false);
    ends.push(job.id ?? "");
  }
  const listed = new Map((await full("completed")).jobs.map((job) => [job.id, job]));
  const [answered = "", filtered = "", cancelled = "", started = ""] = ends;
  for (const id of ends) {
    expect(listed.get(id)).toMatchObject({ failedReason: "", stacktrace: [], isFailed: false });
    expect(await opened(id)).toMatchObject({ failedReason: "", stacktrace: [], isFailed: false });
  }
  expect(listed.get(answered)?.name).toBe("converse");
  expect(listed.get(filtered)?.name).toMatch(/^converse · filtered/);
  expect(listed.get(cancelled)?.name).toMatch(/^converse · cancelled/);
  expect(listed.get(started)?.name).toMatch(/^converse · started at Bedrock/);
});

test("a job whose request is gone once it has ended is shown without it", async () => {
  const { redis, space, jobs } = board;
  const { payload: _, ...rest } = jobs.completed;
  const hash = `${space}:${queueName("claude", "standard")}:${jobs.completed.id}`;
  const whole = (await redis.hget(hash, "data")) ?? "";
  const emptied = ["", "null"].map((json) => ({ ...rest, payload: { encoding: "json", json } }));
  for (const data of [...emptied, rest].map((each) => JSON.stringify(each))) {
    await redis.hset(hash, { data });
    expect((await opened(jobs.completed.id)).data).toMatchObject({
      tenant: "acme",
      payload: expect.stringContaining("gone"),
    });
  }
  for (const data of ["{}", "not JSON"]) {
    await redis.hset(hash, { data });
    expect((await opened(jobs.completed.id)).data).toMatchObject({ hidden: expect.any(String) });
    // The others are listed all the same.
    expect((await full("completed")).jobs.length).toBeGreaterThan(0);
  }
  await redis.hset(hash, { data: whole });
});

test("shows nothing of data that it cannot read", async () => {
  const { Queue } = await import("bullmq");
  const space = Object.keys(await board.everythingInRedis())[0]?.replace(/\}.*/, "}") ?? "";
  const queue = new Queue(queueName("nova", "batch"), { connection: board.redis, prefix: space });
  const stray = await queue.add("converse", { prompt: MARKER }, { priority: 2 });
  const response = await fetch(`${board.url}/api/queues/nova.batch/${stray.id}`);
  const body = await response.text();
  await stray.remove();
  await queue.close();
  expect(response.status).toBe(200);
  expect(body).toContain("not of a version this board can read");
  expect(body).not.toContain(MARKER);
});

describe("no prompt is shown by", () => {
  const pages = STATES.map(
    (status) => `/api/queues?activeQueue=${FULL}&status=${status}&page=1&jobsPerPage=20`,
  );

  test.each([...pages, ...reads.map(({ path }) => path)])("GET %s", async (path) => {
    const { long, completed } = board.jobs;
    for (const { id } of Object.values(board.jobs)) {
      const response = await fetch(`${board.url}${fill(path, id)}`);
      const body = await response.text();
      expect(response.status).toBeLessThan(500);
      expect(body).not.toContain(MARKER);
      for (const { payload } of [long, completed]) {
        const stored = payload.encoding === "gzip" ? payload.base64 : payload.json;
        expect(body).not.toContain(stored.slice(20, 60));
      }
    }
  });
});

test("the flow view of a job, which has none, does not break the board", async () => {
  for (const { id } of Object.values(board.jobs)) {
    const response = await fetch(`${board.url}/api/queues/${FULL}/${id}/flow`);
    expect(response.status).toBe(200);
  }
  expect((await fetch(`${board.url}/api/queues/${FULL}/unknown/flow`)).status).toBe(404);
  expect(await overview()).toHaveLength(QUEUES.length);
});

test("a job that is not there is 404", async () => {
  expect((await fetch(`${board.url}/api/queues/${FULL}/unknown`)).status).toBe(404);
  expect((await fetch(`${board.url}/api/queues/unknown/${board.jobs.failed.id}`)).status).toBe(404);
});

describe("refuses to write by", () => {
  /** These act on all queues that are not read-only: on none. */
  const ofAllQueues = ["/api/queues/pause", "/api/queues/resume"];

  test.each(writes.filter(({ path }) => !ofAllQueues.includes(path)))(
    "$method $path",
    async ({ method, path }) => {
      const before = await board.everythingInRedis();
      for (const { id } of Object.values(board.jobs)) {
        const response = await fetch(`${board.url}${fill(path, id)}`, {
          method,
          headers: { "content-type": "application/json" },
          body: JSON.stringify(EVERY_FIELD),
        });
        expect(response.status).toBeOneOf([403, 405]);
      }
      expect(await board.everythingInRedis()).toEqual(before);
    },
  );

  test.each(ofAllQueues)("PUT %s, which does nothing", async (path) => {
    const before = await board.everythingInRedis();
    await fetch(`${board.url}${path}`, { method: "PUT" });
    expect(await board.everythingInRedis()).toEqual(before);
  });

  test("a form of another site", async () => {
    const before = await board.everythingInRedis();
    const response = await fetch(`${board.url}/api/queues/${FULL}/add`, {
      method: "POST",
      headers: {
        "content-type": "text/plain",
        origin: "http://evil.example",
        "sec-fetch-site": "cross-site",
      },
      body: "",
    });
    expect(response.status).toBeOneOf([403, 405]);
    expect(await board.everythingInRedis()).toEqual(before);
  });
});

test("met no error of its own", () => {
  expect(board.errors).toEqual([]);
});
