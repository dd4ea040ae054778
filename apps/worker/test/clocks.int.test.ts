/** Worker processes on machines whose clocks are wrong, and are set while they run. */
import { startMachine, type MachineClock } from "@sluice/chaos";
import { expect, inject, test, vi } from "vitest";
import { PATIENTLY, startFleet, type Fleet } from "./fleet.ts";

vi.setConfig({ testTimeout: 90_000 });

const start = async (): Promise<Fleet> =>
  startFleet({ redisUrl: inject("redisUrl"), dynamoDbUrl: inject("dynamoDbUrl"), latencyMs: 50 });

const machine = async ({ folder }: Fleet, aheadMs: number): Promise<MachineClock> =>
  startMachine(folder, { by: "Date" }, aheadMs);

const codes = (lines: readonly { msg: string }[]): string[] =>
  lines.flatMap((line) =>
    "code" in line && line.msg.startsWith("redis:") ? [`${line.msg} ${String(line.code)}`] : [],
  );

test("a worker 65 s ahead starts nothing, and says what to do", async () => {
  await using fleet = await start();
  const [id = ""] = await fleet.submit([{}]);
  const worker = await fleet.startWorker(undefined, (await machine(fleet, 65_000)).env);
  expect(await worker.exit).toEqual({ code: 1, signal: null });
  expect(worker.text).toMatch(
    /sluice worker: The clock of this machine is 6[45]\.\d s ahead of that of Redis.*chronyc makestep/,
  );
  expect(await fleet.counts()).toMatchObject({ waiting: 1, failed: 0 });
  expect(await fleet.ends([id])).toEqual([undefined]);
});

test.each([20_000, -20_000])(
  "a worker %i ms ahead ends no job, and starts none, before its time",
  async (aheadMs) => {
    await using fleet = await start();
    const worker = await fleet.startWorker(undefined, (await machine(fleet, aheadMs)).env);
    // By its clock their deadlines have passed before they come, or the scheduled one is due at once.
    const submittedAt = Date.now();
    const waiting = await fleet.submit(Array.from({ length: 50 }, () => ({ deadlineMs: 15_000 })));
    const [scheduled = ""] = await fleet.submit([{ delayMs: 3_000, deadlineMs: 15_000 }]);
    const ids = [...waiting, scheduled];
    await vi.waitFor(
      async () => expect(await fleet.ends(ids)).toEqual(ids.map(() => "completed")),
      PATIENTLY,
    );
    const call = (await fleet.calls()).find(({ job }) => job === scheduled);
    expect(call?.startedAt).toBeGreaterThanOrEqual(submittedAt + 3_000 - 100);
    expect(call?.startedAt).toBeLessThan(submittedAt + 10_000);
    expect(await fleet.counts()).toEqual({ waiting: 0, delayed: 0, active: 0, failed: 0 });
    const outcome = await fleet.outcome(scheduled);
    expect(Math.abs((outcome?.endedAt ?? 0) - Date.now())).toBeLessThan(15_000);
    expect(codes(worker.lines)).toContain("redis:trouble clock");
    expect(codes(worker.lines)).not.toContain("redis:trouble clock-apart");
  },
);

test("a clock that is set while a worker runs ends no job, and beyond half a minute none is fetched until it is right", async () => {
  await using fleet = await start();
  const clock = await machine(fleet, 0);
  const worker = await fleet.startWorker(undefined, clock.env);
  const told = async (msg: string, code: string): Promise<unknown> =>
    worker.logged(`${msg} ${code}`, (line) => line.msg === msg && line["code"] === code);
  const job = { deadlineMs: 60_000 };
  const running = await fleet.submit([job, job]);
  await clock.set(65_000);
  await vi.waitFor(
    async () => expect(await fleet.ends(running)).toEqual(["completed", "completed"]),
    PATIENTLY,
  );
  await told("redis:trouble", "clock-apart");
  const held = await fleet.submit([job, job, job]);
  // As long as a fetch that was on its way waits at most, and one that finds a job.
  await vi.waitFor(async () => expect((await fleet.counts()).active).toBe(0), PATIENTLY);
  expect(await fleet.ends(held)).toEqual([undefined, undefined, undefined]);
  expect((await fleet.calls()).filter(({ job: id }) => held.includes(id))).toEqual([]);
  expect(worker.running).toBe(true);

  await clock.set(0);
  await told("redis:recovered", "clock-apart");
  await vi.waitFor(
    async () => expect(await fleet.ends(held)).toEqual(["completed", "completed", "completed"]),
    PATIENTLY,
  );
  expect((await fleet.counts()).failed).toBe(0);
});
