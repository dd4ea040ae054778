/** Workers whose pools files differ: what none of them serves is told of, keeps its deadlines, and is taken up again. */
import { writeFile, readFile } from "node:fs/promises";
import { join } from "node:path";
import { newJobId, type JobData } from "@sluice/job";
import { encodePayload } from "@sluice/job/payload";
import { LaneQueue } from "@sluice/queue";
import { expect, inject, onTestFinished, test, vi } from "vitest";
import { PATIENTLY, startFleet, type Fleet } from "./fleet.ts";

vi.setConfig({ testTimeout: 60_000 });

async function startTwoFiles(): Promise<{
  fleet: Fleet;
  other: (lanes: readonly string[]) => Promise<string>;
}> {
  const fleet = await startFleet({
    redisUrl: inject("redisUrl"),
    dynamoDbUrl: inject("dynamoDbUrl"),
    latencyMs: 20,
    lanes: ["standard", "extra"],
  });
  onTestFinished(async () => fleet[Symbol.asyncDispose]());
  const other = async (lanes: readonly string[]): Promise<string> => {
    const file = JSON.parse(await readFile(join(fleet.folder, "pools.yaml"), "utf8"));
    file.pools.test.lanes = lanes;
    const path = join(fleet.folder, `${lanes.join("-")}.yaml`);
    await writeFile(path, JSON.stringify(file));
    return path;
  };
  return { fleet, other };
}

test("a lane that the only worker lacks is told of, its deadlines are kept, and who has it drains it", async () => {
  const { fleet, other } = await startTwoFiles();
  const SLUICE_POOLS = await other(["standard"]);
  const waiting = await fleet.submit(Array.from({ length: 5 }, () => ({ lane: "extra" })));
  const late = await overdue(fleet, "test", "extra");
  const gone = await overdue(fleet, "removed", "lane");
  // Due, and its key holds no job.
  await fleet.redis.set(`${fleet.keySpace}:test.extra:broken`, "no job");
  await fleet.redis.zadd(`${fleet.keySpace}:test.extra:delayed`, Date.now() * 4_096, "broken");
  const worker = await fleet.startWorker(undefined, { SLUICE_POOLS });
  const told = (msg: string) => worker.lines.filter((line) => line.msg === msg);

  await vi.waitFor(() => {
    expect(told("lane:unserved")).toContainEqual(
      expect.objectContaining({ pool: "test", lane: "extra", unserved: true, jobs: expect.any(Number) }),
    );
  }, PATIENTLY);
  await vi.waitFor(() => {
    const error = "What Redis holds of job broken cannot be read";
    expect(told("worker:error")).toContainEqual(expect.objectContaining({ error }));
  }, PATIENTLY);
  // Dead of their deadlines, also in a pool that no file names, and with their letters.
  for (const id of [late, gone]) {
    await vi.waitFor(async () => {
      expect((await fleet.deadLetters.look(id))?.failure.errorClass).toBe("DeadlineExceeded");
    }, PATIENTLY);
  }
  expect(await fleet.ends(waiting)).toEqual(waiting.map(() => undefined));

  await fleet.startWorker();
  await vi.waitFor(
    async () => expect(await fleet.ends(waiting)).toEqual(waiting.map(() => "completed")),
    PATIENTLY,
  );
  await vi.waitFor(() => {
    expect(told("lane:unserved").at(-1)).toMatchObject({ pool: "test", lane: "extra", unserved: false });
  }, PATIENTLY);
});

test("a worker that starts with an older file takes no lane from the others", async () => {
  const { fleet, other } = await startTwoFiles();
  const SLUICE_POOLS = await other(["standard"]);
  const old = await fleet.startWorker(undefined, { SLUICE_POOLS });
  await fleet.startWorker();
  old.kill("SIGTERM");
  expect(await old.exit).toMatchObject({ code: 0 });
  await fleet.startWorker(undefined, { SLUICE_POOLS });
  const ids = await fleet.submit([{ lane: "extra" }, { lane: "standard" }]);
  await vi.waitFor(async () => expect(await fleet.ends(ids)).toEqual(["completed", "completed"]), PATIENTLY);
  expect((await fleet.limiter.inspect("test")).lanes.map(({ name }) => name)).toEqual(["standard", "extra"]);
});

/** A job whose deadline has passed, in whatever lane. Resolves to its id. */
async function overdue(fleet: Fleet, pool: string, lane: string): Promise<string> {
  const now = Date.now();
  const queue = new LaneQueue({
    redis: fleet.redis,
    keySpace: fleet.keySpace,
    pool,
    lane,
    clock: Date.now,
    onError: () => {},
  });
  const job: JobData = {
    version: 1,
    id: newJobId(pool, lane, now),
    tenant: "default",
    pool,
    lane,
    kind: "converse",
    payload: await encodePayload({ messages: [{ role: "user", content: [{ text: "?" }] }], maxTokens: 5 }),
    acceptedAt: now - 2_000,
    deadlineAt: now - 1_000,
    maxAttempts: 1,
  };
  await queue.add(job);
  await queue.close();
  return job.id;
}
