/** Fleets whose programs have different pools files: what nobody serves, what was taken out, who is the newer. */
import { setTimeout as sleep } from "node:timers/promises";
import { startRedis } from "@sluice/services";
import type { PoolsFile } from "../../pools-file.ts";
import { must, type Trial, type TrialCase } from "../../trials/trial.ts";
import { hears, told, until, type Env, type Fleet } from "../fleet.ts";
import { askFor, boardQueue, post, tryPost } from "../http.ts";
import { LANE, POOL, poolsFile } from "../pools.ts";
import type { Site } from "../site.ts";

/** A lane and a pool that some files do not have. */
const EXTRA = "extra";
const OTHER_POOL = "other";

const WIDE = poolsFile({ [POOL]: { lanes: [LANE, EXTRA] }, [OTHER_POOL]: { lanes: [LANE] } });
const NARROW = poolsFile({ [POOL]: { lanes: [LANE] } });

const NOBODY = /No worker serves this lane/;
/** What the board says of all lanes of a pool that nobody serves. */
const NOT_STARTED = /No worker has started this pool/;
/** How late a job may die that nobody serves: lanes of others are looked at every 5 s. */
const LATE_MS = 12_000;
/** Its deadline is reckoned from when the API took it, ours from before we asked. */
const EARLY_MS = 500;

/** What each place says of a lane that nobody serves. @throws Fell where it says nothing. */
async function isNamed(
  fleet: Fleet,
  { pool, lane, id, env = {} }: { pool: string; lane: string; id: string; env?: Env },
): Promise<void> {
  const [api, board] = await Promise.all([fleet.listener("api", env), fleet.listener("board", env)]);
  const explain = async (): Promise<string> =>
    JSON.stringify((await askFor(`${api.url}/v1/jobs/${id}/explain`)).body);
  await until("explain names it", explain, (said) => NOBODY.test(said));
  await until(
    "the board names it",
    async () => (await boardQueue(board.url, `${pool}.${lane}`))?.description ?? "",
    (said) => NOBODY.test(said) || NOT_STARTED.test(said),
  );
  const inFile = (await askFor(`${api.url}/v1/pools/${pool}`)).status === 200;
  if (!inFile) return;
  await until(
    "the API names it with its pool",
    async () => JSON.stringify((await askFor(`${api.url}/v1/pools/${pool}`)).body),
    (said) => said.includes("unservedLanes") && said.includes(lane),
  );
  const quota = await fleet.cli(["quota", "show", pool], env);
  must(quota.includes(lane) && NOBODY.test(quota), `quota show says: ${quota}`);
}

/**
 * Jobs of a lane die at their deadline, and not before.
 * @param keptFrom when somebody was there who keeps deadlines. Default: before.
 * Resolves to how late the last was, milliseconds.
 */
async function dieInTime(
  fleet: Fleet,
  ids: readonly string[],
  { deadlineAt, keptFrom = 0 }: { readonly deadlineAt: number; readonly keptFrom?: number },
): Promise<number> {
  await fleet.untilAll("dead", ids);
  const ends = await Promise.all(ids.map(async (id) => fleet.installation.records.outcome(id)));
  const endedAt = ends.map((end) => end?.endedAt ?? 0);
  const early = deadlineAt - Math.min(...endedAt);
  must(early < EARLY_MS, `a job died ${early} ms before its deadline`);
  const late = Math.max(...endedAt) - Math.max(deadlineAt, keptFrom);
  must(late < LATE_MS, `a job died ${late} ms after its deadline`);
  return late;
}

const unserved = (pool: string, lane: string): Trial<Site> => ({
  name: pool === POOL ? "a lane that no worker serves" : "a pool that no worker serves",
  holds:
    "The API takes its jobs, their deadlines are kept, log, explain, board, API and quota name it, and who has it drains it",
  run: async (site) => {
    await using fleet = await site.fleet({ pools: WIDE });
    const narrow = await fleet.file(NARROW);
    const [worker, api] = await Promise.all([fleet.worker(narrow), fleet.listener("api")]);
    const waiting = await Promise.all(Array.from({ length: 30 }, async () => post(api.url, { pool, lane })));
    const deadlineAt = Date.now() + 2_000;
    const doomed = await Promise.all(
      Array.from({ length: 5 }, async () => post(api.url, { pool, lane, deadlineMs: 2_000 })),
    );
    const ids = waiting.map(({ id }) => id);
    await hears(worker, "lane:unserved", { pool, lane, unserved: true });
    const diedLateMs = await dieInTime(
      fleet,
      doomed.map(({ id }) => id),
      { deadlineAt },
    );
    await isNamed(fleet, { pool, lane, id: ids[0] ?? "" });
    const ends = await fleet.ends(ids);
    must(
      ends.every((end) => end === "waiting"),
      `they ended: ${JSON.stringify(ends)}`,
    );
    await fleet.worker();
    const drainedMs = await fleet.untilAll("completed", ids);
    await hears(worker, "lane:unserved", { pool, lane, unserved: false });
    return { diedLateMs, drainedMs };
  },
});

const atAStart: Trial<Site> = {
  name: "a lane with jobs that a worker finds at its start",
  holds:
    "A worker that starts on a lane nobody serves says so within seconds, and keeps the deadlines that have passed",
  run: async (site) => {
    await using fleet = await site.fleet({ pools: WIDE });
    await fleet.add(Array.from({ length: 5 }, () => ({ lane: EXTRA })));
    const late = await fleet.add(Array.from({ length: 5 }, () => ({ lane: EXTRA, deadlineMs: 1 })));
    const worker = await fleet.worker(await fleet.file(NARROW));
    const from = performance.now();
    await hears(worker, "lane:unserved", { lane: EXTRA, unserved: true }, 10_000);
    const toldMs = Math.round(performance.now() - from);
    await fleet.untilAll("dead", late);
    return { toldMs };
  },
};

const oneOfTwo: Trial<Site> = {
  name: "a lane that one of two workers has",
  holds: "Its jobs are answered by the one that has it, and nobody calls it unserved",
  run: async (site) => {
    await using fleet = await site.fleet({ pools: WIDE });
    const narrow = await fleet.worker(await fleet.file(NARROW));
    const wide = await fleet.worker();
    const ids = await fleet.add(
      Array.from({ length: 60 }, (_, index) => ({ lane: index % 2 ? LANE : EXTRA })),
    );
    const drainedMs = await fleet.untilAll("completed", ids);
    const wrong = told(narrow, "job:completed", { lane: EXTRA }).length;
    must(wrong === 0, `the worker that lacks the lane answered ${wrong} of its jobs`);
    must(told(wide, "lane:unserved").length === 0, "the lane was called unserved");
    return { drainedMs };
  },
};

const older: Trial<Site> = {
  name: "a worker with an older file",
  holds:
    "Before, beside and after the newer one, and started again: it takes no lane from the others, and no job waits",
  run: async (site) => {
    await using fleet = await site.fleet({ pools: WIDE });
    const narrow = await fleet.file(NARROW);
    const limiter = fleet.installation.limiter(POOL);
    const lanes = async (): Promise<readonly string[]> =>
      (await limiter.inspect(POOL)).lanes.map(({ name }) => name);
    let old = await fleet.worker(narrow);
    await fleet.worker();
    for (let restart = 0; restart < 3; restart += 1) {
      const ids = await fleet.add(
        Array.from({ length: 10 }, (_, index) => ({ lane: index % 2 ? LANE : EXTRA })),
      );
      await fleet.untilAll("completed", ids);
      const now = await lanes();
      must(JSON.stringify(now) === JSON.stringify([LANE, EXTRA]), `lanes are ${now.join(", ")}`);
      old.kill(restart === 1 ? "SIGKILL" : "SIGTERM");
      await old.exit;
      old = await fleet.worker(narrow);
    }
    const ids = await fleet.add([{ lane: EXTRA }, {}]);
    await fleet.untilAll("completed", ids);
  },
};

const removed = (pool: string, lane: string): Trial<Site> => ({
  name: pool === POOL ? "a lane that was taken out of all files" : "a pool that was taken out of all files",
  holds:
    "Its jobs stay in sight: read, explained, on the board, cancelled, dead at their deadlines; new ones are refused",
  run: async (site) => {
    await using fleet = await site.fleet({ pools: WIDE });
    const before = await fleet.worker();
    await fleet.untilAll("completed", await fleet.add([{ pool, lane }]));
    before.kill("SIGTERM");
    await before.exit;
    const ids = await fleet.add(Array.from({ length: 20 }, () => ({ pool, lane })));
    const deadlineAt = Date.now() + 3_000;
    const doomed = await fleet.add(Array.from({ length: 5 }, () => ({ pool, lane, deadlineMs: 3_000 })));
    const env = await fleet.file(NARROW);
    const [worker, api] = await Promise.all([fleet.worker(env), fleet.listener("api", env)]);
    const [first = "", second = ""] = ids;
    const keptFrom = Date.now();
    await hears(worker, "lane:unserved", { pool, lane, unserved: true });
    const read = await askFor(`${api.url}/v1/jobs/${first}`);
    must(read.status === 200, `it is read with ${read.status}`);
    await isNamed(fleet, { pool, lane, id: first, env });
    const refused = await tryPost(api.url, { pool, lane });
    must(refused.status === 404, `a new one is answered ${refused.status}`);
    const cancelled = await askFor(`${api.url}/v1/jobs/${second}/cancel`, { method: "POST" });
    must(cancelled.status === 200, `cancelling it is answered ${cancelled.status}`);
    const diedLateMs = await dieInTime(fleet, doomed, { deadlineAt, keptFrom });
    // Whoever has the file that still names it drains it.
    await fleet.worker();
    await fleet.untilAll(
      "completed",
      ids.filter((id) => id !== second),
    );
    return { diedLateMs };
  },
});

const emptied: Trial<Site> = {
  name: "Redis emptied under workers of two files",
  holds:
    "Every program says so, the newer file is in force again with the lanes of both, and new jobs of both are answered",
  run: async (site) => {
    await using redis = await startRedis({ dataDir: await site.folder() });
    await using fleet = await site.fleet({ pools: WIDE, redisUrl: redis.url });
    const wide = await fleet.file(
      poolsFile({ [POOL]: { lanes: [LANE, EXTRA], quota: { tokensPerMinute: 50_000_000 } } }),
    );
    const newer = await fleet.file(
      poolsFile({ [POOL]: { lanes: [LANE], quota: { tokensPerMinute: 70_000_000 } } }),
    );
    const workers = [await fleet.worker(wide), await fleet.worker(newer)];
    const [api, board] = await Promise.all([fleet.listener("api"), fleet.listener("board")]);
    await fleet.untilAll("completed", await fleet.add([{}, { lane: EXTRA }]));
    await fleet.redis.flushall();
    for (const program of [...workers, api.process, board.process]) await hears(program, "redis:emptied");
    const from = performance.now();
    const ids = await Promise.all(
      Array.from(
        { length: 20 },
        async (_, index) => (await post(api.url, { lane: index % 2 ? LANE : EXTRA })).id,
      ),
    );
    await fleet.untilAll("completed", ids);
    const answeredMs = Math.round(performance.now() - from);
    const inspection = await until(
      "the newer file is in force",
      async () => fleet.installation.limiter(POOL).inspect(POOL),
      ({ limits }) => limits.quota.tokensPerMinute === 70_000_000,
    );
    const lanes = inspection.lanes.map(({ name }) => name).toSorted();
    must(JSON.stringify(lanes) === JSON.stringify([EXTRA, LANE].toSorted()), `lanes are ${lanes.join(", ")}`);
    return { answeredMs };
  },
};

export const files: TrialCase<Site> = {
  name: "files",
  trials: [
    unserved(POOL, EXTRA),
    unserved(OTHER_POOL, LANE),
    atAStart,
    oneOfTwo,
    older,
    removed(POOL, EXTRA),
    removed(OTHER_POOL, LANE),
    emptied,
  ],
};

/** Two of the periods in which workers publish their files. */
const PUBLISHED_TWICE_MS = 45_000;
/** After a minute the file of workers that are gone counts no longer, and the others publish every 20 s. */
const FORGOTTEN_MS = 95_000;

const [LESS, MORE] = [40_000_000, 60_000_000];

const quota = (tokensPerMinute: number): PoolsFile =>
  poolsFile({ [POOL]: { lanes: [LANE], quota: { tokensPerMinute } } });

const quotas: Trial<Site> = {
  name: "a quota that two files say otherwise",
  holds:
    "The newer is in force and stays so, published once, also when the worker with the older starts again; a minute after the last one with it is gone, the older is",
  run: async (site) => {
    await using fleet = await site.fleet({ pools: NARROW });
    const outdated = await fleet.file(quota(MORE));
    const old = await fleet.worker(outdated);
    const newer = await fleet.worker(await fleet.file(quota(LESS)));
    const limiter = fleet.installation.limiter(POOL);
    const { version } = await limiter.inspect(POOL);
    const inForce = new Set<number | undefined>();
    const end = performance.now() + PUBLISHED_TWICE_MS;
    let restarted = false;
    while (performance.now() < end) {
      const { limits } = await limiter.inspect(POOL);
      inForce.add(limits.quota.tokensPerMinute);
      await sleep(250);
      if (!restarted) {
        old.kill("SIGTERM");
        await old.exit;
        await fleet.worker(outdated);
        restarted = true;
      }
    }
    must(inForce.size === 1 && inForce.has(LESS), `in force were ${[...inForce].join(", ")}`);
    const publications = (await limiter.inspect(POOL)).version - version;
    must(publications === 0, `it was published ${publications} times more`);
    const heard = told(newer, "limits:changed").length;
    newer.kill("SIGTERM");
    await newer.exit;
    const from = performance.now();
    await until(
      "the older file is in force",
      async () => (await limiter.inspect(POOL)).limits.quota.tokensPerMinute,
      (now) => now === MORE,
      FORGOTTEN_MS,
    );
    return { publications, heard, stepBackMs: Math.round(performance.now() - from) };
  },
};

/** Waits for most of two minutes, so it runs beside the others. */
export const quotasBeside: TrialCase<Site> = { name: "quotas", beside: true, trials: [quotas] };
