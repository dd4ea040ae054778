/** Redis's own clock is set, as a fail-over to a machine whose clock is off sets it. */
import { canSetClockOfRedis, startClockedRedis } from "../../clocks/redis.ts";
import { must, type Trial, type TrialCase } from "../../trials/trial.ts";
import { hears, until, type Fleet } from "../fleet.ts";
import { SLOW_POOL } from "../pools.ts";
import type { Site } from "../site.ts";

const STEP_S = 600;

/** Of two workers with 8 slots each, one of which is kept for the lane above. */
const BUSY = 12;

const slowJobs = async (fleet: Fleet, count: number): Promise<string[]> =>
  fleet.add(Array.from({ length: count }, () => ({ pool: SLOW_POOL, deadlineMs: 60_000 })));

const nothingLeft = async (fleet: Fleet): Promise<unknown> =>
  until(
    "no job is left in any lane",
    async () => fleet.installation.records.counts(),
    (counts) => Object.values(counts).every((count) => count === 0),
  );

const mostCalls = async (fleet: Fleet, ids: readonly string[]): Promise<number> =>
  Math.max(...[...(await fleet.calls(ids)).values()].map(({ length }) => length));

const back: Trial<Site> = {
  name: "back, with a worker killed",
  holds:
    "Every clock goes back 10 minutes while a worker dies: its jobs run again within the minute, and none stays active",
  run: async (site) => {
    await using redis = await startClockedRedis(await site.folder());
    await using fleet = await site.fleet({ redisUrl: redis.url });
    const machine = await site.machine(0);
    const [killed, left] = await Promise.all([fleet.worker(machine.env), fleet.worker(machine.env)]);
    if (killed === undefined || left === undefined) throw new Error("Expected two workers");
    const ids = await slowJobs(fleet, 30);
    await atWork(fleet);
    killed.kill("SIGKILL");
    await Promise.all([redis.set(-STEP_S), machine.set(-STEP_S * 1_000)]);
    await killed.exit;
    const drainedMs = await fleet.untilAll("completed", ids, 60_000);
    await nothingLeft(fleet);
    must(left.running, "the worker that was left has ended");
    return { drainedMs, mostCalls: await mostCalls(fleet, ids) };
  },
};

const forward: Trial<Site> = {
  name: "forward, with all programs",
  holds: "Every clock goes ahead 10 minutes: no job dies of its deadline, and all are answered",
  run: async (site) => {
    await using redis = await startClockedRedis(await site.folder());
    await using fleet = await site.fleet({ redisUrl: redis.url });
    const machine = await site.machine(0);
    const workers = await Promise.all([fleet.worker(machine.env), fleet.worker(machine.env)]);
    const ids = await slowJobs(fleet, 40);
    await atWork(fleet);
    await Promise.all([redis.set(STEP_S), machine.set(STEP_S * 1_000)]);
    for (const worker of workers) await hears(worker, "redis:trouble", { code: "clock-set" });
    const drainedMs = await fleet.untilAll("completed", ids, 60_000);
    await nothingLeft(fleet);
    return { drainedMs, mostCalls: await mostCalls(fleet, ids) };
  },
};

const backAlone: Trial<Site> = {
  name: "back, Redis alone",
  holds:
    "Only Redis goes back 10 minutes: it is said, no job dies, and all are answered, before it is right and after",
  run: async (site) => astray(site, -STEP_S),
};

const forwardAlone: Trial<Site> = {
  name: "forward, Redis alone",
  holds:
    "Only Redis goes ahead 10 minutes: it is said, no job dies, and all are answered, before it is right and after",
  run: async (site) => astray(site, STEP_S),
};

/** Redis alone goes by so many seconds, while calls are in flight and jobs wait, and is right again when all have been answered. */
async function astray(site: Site, aheadS: number): Promise<{ drainedMs: number; mostCalls: number }> {
  await using redis = await startClockedRedis(await site.folder());
  await using fleet = await site.fleet({ redisUrl: redis.url });
  const workers = await Promise.all([fleet.worker(), fleet.worker()]);
  const ids = await slowJobs(fleet, 40);
  await atWork(fleet);
  await redis.set(aheadS);
  for (const worker of workers) await hears(worker, "redis:trouble", { code: "clock-set" });
  const drainedMs = await fleet.untilAll("completed", ids, 60_000);
  await redis.set(0);
  for (const worker of workers) await hears(worker, "redis:recovered", { code: "clock-set" });
  const later = await slowJobs(fleet, 10);
  await fleet.untilAll("completed", later, 60_000);
  await nothingLeft(fleet);
  return { drainedMs, mostCalls: await mostCalls(fleet, [...ids, ...later]) };
}

async function atWork(fleet: Fleet): Promise<void> {
  await until(
    "both work",
    async () => fleet.installation.records.counts(),
    ({ active }) => active >= BUSY,
  );
}

const without: Trial<Site> = {
  name: "not tried: it takes a C compiler and redis-server",
  holds: "Redis's own clock can be set here, and nothing comes of it",
  run: async () => ({ notTried: 1 }),
};

export const redisClock = (): TrialCase<Site> => ({
  name: "redis-clock",
  trials: canSetClockOfRedis() ? [back, forward, backAlone, forwardAlone] : [without],
});
