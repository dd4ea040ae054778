/** What one person who looks may cost Redis, which the whole fleet works with: counted by Redis itself. */
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { queueName } from "@sluice/job";
import { startRedis } from "@sluice/services";
import { expect, onTestFinished, test, vi } from "vitest";
import { z } from "zod";
import { FULL, startBoard, type TestBoard } from "./given.ts";

vi.setConfig({ testTimeout: 60_000 });

const DATA_BYTES = 4 * 1024;
const JOBS = 20_000;

/** Nothing that Redis does for a page takes so long, microseconds. Whole jobs took seconds. */
const SLOW_US = 100_000;

async function startAlone(): Promise<TestBoard> {
  const dataDir = await mkdtemp(join(tmpdir(), "sluice-test-"));
  const redis = await startRedis({ dataDir });
  const board = await startBoard({ redisUrl: redis.url });
  onTestFinished(async () => {
    await board[Symbol.asyncDispose]();
    await redis[Symbol.asyncDispose]();
    await rm(dataDir, { recursive: true, force: true });
  });
  return board;
}

/** Completed jobs of 4 KB each, as BullMQ stores them. */
async function fill({ redis, space }: TestBoard): Promise<void> {
  const base = `${space}:${queueName("claude", "standard")}:`;
  // What compresses to nothing would be no load.
  const data = JSON.stringify({
    payload: { encoding: "gzip", base64: randomBytes(DATA_BYTES).toString("hex") },
  });
  for (let at = 0; at < JOBS; at += 1_000) {
    const pipeline = redis.pipeline();
    for (let index = at; index < at + 1_000; index += 1) {
      pipeline.hset(`${base}job${index}`, {
        name: "converse",
        data,
        opts: "{}",
        timestamp: 1,
        finishedOn: 2,
      });
      pipeline.zadd(`${base}completed`, index, `job${index}`);
    }
    await pipeline.exec();
  }
}

const pageSchema = z.object({
  queues: z.array(
    z.looseObject({
      name: z.string(),
      jobs: z.array(z.object({ id: z.string() })),
      pagination: z.object({ pageCount: z.number() }),
    }),
  ),
});

async function page(board: TestBoard, query: Record<string, string>) {
  const search = new URLSearchParams({ activeQueue: FULL, page: "1", ...query });
  const response = await fetch(`${board.url}/api/queues?${search.toString()}`);
  expect(response.status).toBe(200);
  const body = await response.text();
  const queue = pageSchema.parse(JSON.parse(body)).queues.find(({ name }) => name === FULL);
  return {
    bytes: body.length,
    ids: queue?.jobs.map(({ id }) => id) ?? [],
    pages: queue?.pagination.pageCount,
  };
}

/** What Redis has sent since it started, bytes. */
async function sent({ redis }: TestBoard): Promise<number> {
  return Number(/total_net_output_bytes:(\d+)/.exec(await redis.info("stats"))?.[1]);
}

test("a page of a lane of 20,000 jobs is bounded, however long a page is asked for", async () => {
  const board = await startAlone();
  await fill(board);
  await board.redis.config("RESETSTAT");
  await board.redis.config("SET", "slowlog-log-slower-than", String(SLOW_US));
  await board.redis.slowlog("RESET");
  const before = await sent(board);
  const asked = ["1000000", "20000", "300"].flatMap((jobsPerPage) =>
    ["completed", "latest"].map(async (status) => page(board, { jobsPerPage, status })),
  );
  const pages = await Promise.all(asked);
  for (const { ids, bytes } of pages) {
    expect(ids.length).toBeLessThanOrEqual(300);
    expect(bytes).toBeLessThan(500_000);
  }
  expect(pages[0]).toMatchObject({ pages: Math.ceil((JOBS + 1) / 300) });
  // Read whole, the jobs of one of these pages alone are more.
  expect((await sent(board)) - before).toBeLessThan(1_000_000);
  expect(await board.redis.info("commandstats")).not.toMatch(/cmdstat_hgetall:/);
  expect(await board.redis.slowlog("GET", 10)).toEqual([]);
  const last = await page(board, { jobsPerPage: "300", status: "completed", page: "67" });
  expect(last.ids).toContain("job0");
});

test("texts that are too long for a list are told by their length", async () => {
  const { redis, space, ...board } = await startAlone();
  const base = `${space}:${queueName("claude", "standard")}:`;
  const long = "x".repeat(1024 * 1024);
  await redis.hset(`${base}huge`, { name: "converse", data: long, returnvalue: long, failedReason: long });
  await redis.zadd(`${base}failed`, 1, "huge");
  const response = await fetch(
    `${board.url}/api/queues?activeQueue=${FULL}&status=failed&page=1&jobsPerPage=10`,
  );
  const body = await response.text();
  expect(body.length).toBeLessThan(100_000);
  expect(body).toContain("1048576 bytes, too long to be shown here");
  await redis.hset(`${base}huge`, { data: "x".repeat(5 * 1024 * 1024) });
  const one = await fetch(`${board.url}/api/queues/${FULL}/huge`);
  expect(one.status).toBe(200);
  expect((await one.text()).length).toBeLessThan(100_000);
});
