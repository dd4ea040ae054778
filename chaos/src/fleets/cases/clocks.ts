/** Clocks: a machine's that is wrong or is set while its program runs. What is shared goes by Redis's clock. */
import { setTimeout as sleep } from "node:timers/promises";
import type { ClockWay } from "../../clocks/machine.ts";
import { PROGRAMS } from "../../programs.ts";
import { addFaults } from "../../faults.ts";
import type { Started } from "../../process.ts";
import { must, type Measured, type Trial, type TrialCase } from "../../trials/trial.ts";
import { hears, told, until, type Fleet } from "../fleet.ts";
import { modelOf, POOL, poolsFile, SLOW_POOL } from "../pools.ts";
import type { Site } from "../site.ts";
import { keepTimes, many, SHUT_POOL } from "../times.ts";

/** Beyond this a clock is not believed, milliseconds: `docs/deployment.md`. */
const APART = "clock-apart";

const POOLS = poolsFile({ [POOL]: {}, [SLOW_POOL]: {}, [SHUT_POOL]: {} });

/** Programs see a clock by libfaketime a second after it was set. */
const SEEN_MS = 1_500;

async function isolate(fleet: Fleet, pool: string): Promise<void> {
  const limiter = fleet.installation.limiter(pool);
  await until(
    "a worker has published the pool",
    async () => limiter.inspect(pool).catch(() => undefined),
    Boolean,
  );
  await limiter.operate(pool, { type: "isolate" });
}

const nobodyApart = (programs: readonly Started[]): void => {
  for (const program of programs)
    must(
      told(program, "redis:trouble", { code: APART }).length === 0,
      "a program took its clock for too wrong",
    );
};

const TOO_WRONG_MS = [65_000, -65_000, 600_000, -600_000] as const;

const atAStart: Trial<Site> = {
  name: "at a start",
  holds:
    "Workers, an API and a board whose clocks are 65 s or 10 minutes off end with a sentence and touch none of 50 jobs",
  run: async (site) => {
    await using fleet = await site.fleet({ pools: POOLS, locks: "shipped" });
    // A program that is 65 s ahead would end the first half, one that is 10 minutes ahead all.
    const soon = await fleet.add(many(25, () => ({ deadlineMs: 60_000 })));
    const ids = await fleet.add(many(25, () => ({ deadlineMs: 300_000 })));
    const programs = [
      { aheadMs: 65_000, program: PROGRAMS.worker },
      { aheadMs: -600_000, program: PROGRAMS.worker },
      { aheadMs: 600_000, program: PROGRAMS.api },
      { aheadMs: -65_000, program: PROGRAMS.board },
    ];
    const ended = programs.map(async ({ aheadMs, program }) => {
      const { env } = await site.machine(aheadMs);
      const wrong = await fleet.program(program, { PORT: "0", ...env });
      const { code } = await wrong.exit;
      must(code === 1, `a program that is ${aheadMs} ms ahead ended with ${code}:\n${wrong.text}`);
      must(/The clock of this machine is \d/.test(wrong.text), `it says: ${wrong.text}`);
    });
    await Promise.all(ended);
    const { waiting, failed } = await fleet.installation.records.counts();
    const all = soon.length + ids.length;
    must(waiting === all && failed === 0, `of ${all} jobs ${waiting} wait and ${failed} have failed`);
    await fleet.worker();
    await fleet.untilAll("completed", ids);
  },
};

const beside: Trial<Site> = {
  name: "two of three workers 25 s off",
  holds:
    "Ahead and behind, beside a right one: no job dies or starts before its time, none late, and both say that they are off",
  run: async (site) => {
    await using fleet = await site.fleet({ pools: POOLS, locks: "shipped" });
    const machines = await Promise.all([25_000, -25_000].map(async (aheadMs) => site.machine(aheadMs)));
    const [api, right, ...off] = await Promise.all([
      fleet.listener("api"),
      fleet.worker(),
      ...machines.map(async ({ env }) => fleet.worker(env)),
    ]);
    await isolate(fleet, SHUT_POOL);
    const measured = await keepTimes(fleet, [api.url]);
    for (const worker of off) {
      await hears(worker, "redis:trouble", { code: "clock" });
      must(told(worker, "job:completed").length > 0, "a worker whose clock is off ran nothing");
    }
    nobodyApart([...off, right]);
    return measured;
  },
};

const alone: Trial<Site> = {
  name: "the only worker 25 s off",
  holds: "Ahead, and in another fleet behind: no job dies or starts before its time, and none late",
  run: async (site) => {
    const measured = await Promise.all(
      [25_000, -25_000].map(async (aheadMs) => {
        await using fleet = await site.fleet({ pools: POOLS, locks: "shipped" });
        const { env } = await site.machine(aheadMs);
        const [api, off] = await Promise.all([fleet.listener("api"), fleet.worker(env)]);
        await isolate(fleet, SHUT_POOL);
        const times = await keepTimes(fleet, [api.url]);
        nobodyApart([off]);
        return times;
      }),
    );
    return named(["ahead", "behind"], measured);
  },
};

/** The figures of several, each under its own name. */
function named(names: readonly string[], figures: readonly Measured[]): Measured {
  const entries = figures.flatMap((of, index) =>
    Object.entries(of).map(([name, value]) => [`${names[index] ?? ""} ${name}`, value] as const),
  );
  return Object.fromEntries(entries);
}

const apis: Trial<Site> = {
  name: "APIs ahead and behind",
  holds:
    "Two APIs 25 s ahead and behind promise the right deadlines and times, and go on so when they are set by 10 minutes",
  run: async (site) => {
    await using fleet = await site.fleet({ pools: POOLS, locks: "shipped" });
    const machines = await Promise.all([25_000, -25_000].map(async (aheadMs) => site.machine(aheadMs)));
    const [ahead, behind] = await Promise.all(machines.map(async ({ env }) => fleet.listener("api", env)));
    if (ahead === undefined || behind === undefined) throw new Error("Expected two APIs");
    await fleet.worker();
    await isolate(fleet, SHUT_POOL);
    const before = await keepTimes(fleet, [ahead.url, behind.url]);
    await Promise.all(machines.map(async (machine, index) => machine.set(index === 0 ? 600_000 : -600_000)));
    for (const { process } of [ahead, behind]) await hears(process, "redis:trouble", { code: APART });
    const after = await keepTimes(fleet, [ahead.url, behind.url]);
    return named(["off", "set"], [before, after]);
  },
};

/** One worker whose clock steps so far while calls are in flight, and is set right again. */
async function step(site: Site, aheadMs: number): Promise<number> {
  await using fleet = await site.fleet({ pools: POOLS, locks: "shipped" });
  const machine = await site.machine(0);
  const worker = await fleet.worker(machine.env);
  const running = await fleet.add(many(6, () => ({ pool: SLOW_POOL, deadlineMs: 60_000 })));
  await until(
    "all are called",
    async () => told(worker, "job:granted").length,
    (calls) => calls === running.length,
  );
  await machine.set(aheadMs);
  await hears(worker, "redis:trouble", { code: APART });
  await fleet.untilAll("completed", running);
  const held = await fleet.add(many(20, () => ({ deadlineMs: 60_000 })));
  const scheduled = await fleet.add(many(5, () => ({ delayMs: 1_000, deadlineMs: 60_000 })));
  // As long as a fetch that was on its way, and looks at jobs that are due.
  await sleep(4_000);
  const ends = await fleet.ends([...held, ...scheduled]);
  must(
    ends.every((end) => end === "waiting"),
    `while the clock is ${aheadMs} ms off: ${JSON.stringify(ends)}`,
  );
  const calls = [...(await fleet.calls([...held, ...scheduled])).values()].flat();
  must(calls.length === 0, `${calls.length} calls began while the clock was ${aheadMs} ms off`);
  must(worker.running, `the worker ended: ${worker.text}`);
  await machine.set(0);
  const resumedMs = await fleet.untilAll("completed", [...held, ...scheduled]);
  await hears(worker, "redis:recovered", { code: APART });
  const twice = [...(await fleet.calls([...running, ...held, ...scheduled])).values()].filter(
    ({ length }) => length !== 1,
  );
  must(twice.length === 0, `${twice.length} jobs had not one call when the clock was set by ${aheadMs} ms`);
  return resumedMs;
}

const stepped: Trial<Site> = {
  name: "set while it runs",
  holds:
    "A clock set by 65 s or 10 minutes, either way: calls in flight end once, nothing is fetched or ended until it is right, then all is",
  run: async (site) => {
    const resumed = await Promise.all(TOO_WRONG_MS.map(async (aheadMs) => step(site, aheadMs)));
    return { resumedFirstMs: Math.min(...resumed), resumedLastMs: Math.max(...resumed) };
  },
};

const oneSecond: Trial<Site> = {
  name: "a second off",
  holds:
    "A clock that is set by a second and a half while the worker runs is told of, and that it is right again",
  run: async (site) => {
    await using fleet = await site.fleet({ pools: POOLS, locks: "shipped" });
    const machine = await site.machine(0);
    const worker = await fleet.worker(machine.env);
    await machine.set(1_500);
    const from = performance.now();
    await hears(worker, "redis:trouble", { code: "clock" });
    const toldMs = Math.round(performance.now() - from);
    const ids = await fleet.add(many(10, () => ({ deadlineMs: 10_000 })));
    await fleet.untilAll("completed", ids);
    await machine.set(0);
    await hears(worker, "redis:recovered", { code: "clock" });
    nobodyApart([worker]);
    return { toldMs };
  },
};

const SHUT_BY = {
  "an operator": async (fleet: Fleet, _site: Site) => {
    await isolate(fleet, POOL);
    return async (): Promise<void> => {
      await fleet.installation.limiter(POOL).operate(POOL, { type: "close" });
    };
  },
  "Retry-After": async (fleet: Fleet, site: Site) => {
    const fault = { type: "error", name: "ThrottlingException", retryAfterSeconds: 6 };
    await addFaults(site.services.simulatorUrl, [{ model: modelOf(POOL), fault, forMs: 1_000 }]);
    await fleet.add([{ text: "the one that is refused" }]);
    const limiter = fleet.installation.limiter(POOL);
    await until(
      "the pool is held",
      async () => limiter.inspect(POOL),
      ({ takesCalls }) => !takesCalls,
    );
    return async (): Promise<void> => {
      await until(
        "the pool takes calls",
        async () => limiter.inspect(POOL),
        ({ takesCalls }) => takesCalls,
      );
    };
  },
} as const;

const shutGate = (by: keyof typeof SHUT_BY, aheadMs: number): Trial<Site> => ({
  name: `set by ${aheadMs} ms while ${by} has the gate shut`,
  holds:
    "The worker that waits there is not idle for the step: its jobs are answered within seconds once it opens",
  run: async (site) => {
    await using fleet = await site.fleet({ pools: POOLS, locks: "shipped" });
    const machine = await site.machine(0);
    const worker = await fleet.worker(machine.env);
    await hears(worker, "worker:started");
    const open = await SHUT_BY[by](fleet, site);
    const ids = await fleet.add(many(20, () => ({ deadlineMs: 60_000 })));
    await until(
      "a job asks at the gate",
      async () => fleet.installation.records.counts(),
      ({ active }) => active > 0,
    );
    await machine.set(aheadMs);
    await sleep(SEEN_MS);
    await open();
    const openedMs = await fleet.untilAll("completed", ids, 10_000);
    return { openedMs };
  },
});

export const clocks = (way: ClockWay): TrialCase<Site> => {
  const by = way.by === "Date" ? "Node's Date alone, as libfaketime is not installed" : way.by;
  const trials = [
    atAStart,
    beside,
    alone,
    apis,
    stepped,
    oneSecond,
    shutGate("an operator", -25_000),
    shutGate("Retry-After", -25_000),
  ];
  return {
    name: "clocks",
    trials: trials.map((trial) => ({ ...trial, name: `${trial.name} (${by})` })),
  };
};
