/** Jobs that cannot be read: each is in the failed set at once, and holds up none of its neighbours. */
import { must, type Trial, type TrialCase } from "../../trials/trial.ts";
import { counted, told, until, type Fleet } from "../fleet.ts";
import { boardQueue } from "../http.ts";
import { LANE, POOL } from "../pools.ts";
import type { Site } from "../site.ts";

const DAMAGED = 40;
const HEALTHY = 100;
/** The healthy ones are 100 calls of 150 ms with 8 slots: about two seconds. */
const NEIGHBOURS_MS = 20_000;

/** Ways in which what Redis holds of a job is damaged. */
const DAMAGE: readonly ((fleet: Fleet, id: string) => Promise<unknown>)[] = [
  async ({ redis, jobKey }, id) => redis.hset(jobKey(id), "data", '{"half'),
  async ({ redis, jobKey }, id) => redis.hset(jobKey(id), "data", ""),
  async ({ redis, jobKey }, id) => redis.hset(jobKey(id), "data", "[]", "opts", "[]"),
  async ({ redis, jobKey }, id) => redis.hset(jobKey(id), "opts", "{,}"),
  async ({ redis, jobKey }, id) => redis.hset(jobKey(id), "opts", "null"),
  async ({ redis, jobKey }, id) => redis.hset(jobKey(id), "progress", "half"),
  async ({ redis, jobKey }, id) => redis.hset(jobKey(id), "parent", "half"),
  async ({ redis, jobKey }, id) => redis.hset(jobKey(id), "ats", "many"),
  async ({ redis, jobKey }, id) => redis.hset(jobKey(id), "atm", "1.5", "stc", ""),
  async ({ redis, jobKey }, id) => redis.hset(jobKey(id), "data", "[".repeat(100_000)),
  async ({ redis, jobKey }, id) =>
    redis.hset(jobKey(id), "data", JSON.stringify({ version: 1, huge: "x".repeat(3_000_000) })),
  async ({ redis, jobKey }, id) => redis.hset(jobKey(id), "data", Buffer.from([0xff, 0xfe, 0x00, 0x80])),
  async ({ redis, jobKey }, id) => redis.del(jobKey(id)),
  async ({ redis, jobKey }, id) => replaced(redis, jobKey(id), async (key) => redis.set(key, "text")),
  async ({ redis, jobKey }, id) => replaced(redis, jobKey(id), async (key) => redis.rpush(key, "a", "b")),
  async ({ redis, jobKey }, id) => replaced(redis, jobKey(id), async (key) => redis.zadd(key, 1, "a")),
];

async function replaced(redis: Fleet["redis"], key: string, write: (key: string) => Promise<unknown>) {
  await redis.del(key);
  return write(key);
}

/** How the jobs wait: in the order of urgency, in BullMQ's plain list, or until they are due. */
const PLACES = {
  prioritised: async () => {},
  waiting: async ({ redis, space }: Fleet, ids: readonly string[]) => {
    const queue = `${space}:${POOL}.${LANE}`;
    await redis.zrem(`${queue}:prioritized`, ...ids);
    await redis.lpush(`${queue}:wait`, ...ids);
  },
  delayed: async () => {},
} as const;

const TABS: Readonly<Record<keyof typeof PLACES, string>> = {
  prioritised: "prioritized",
  waiting: "waiting",
  delayed: "delayed",
};

const among = (place: keyof typeof PLACES): Trial<Site> => ({
  name: `${DAMAGED} of ${DAMAGED + HEALTHY} ${place} jobs`,
  holds:
    "The board shows the others, they end within seconds, and each damaged one is a letter, MalformedJob, at once",
  run: async (site) => {
    await using fleet = await site.fleet();
    const board = await fleet.listener("board");
    const delayMs = place === "delayed" ? 10_000 : 0;
    const ids = await fleet.add(Array.from({ length: DAMAGED + HEALTHY }, () => ({ delayMs })));
    const damaged = ids.filter((_, index) => index % 7 < 2);
    const healthy = ids.filter((_, index) => index % 7 >= 2);
    await PLACES[place](fleet, ids);
    for (const [index, id] of damaged.entries()) await DAMAGE[index % DAMAGE.length]?.(fleet, id);

    const tab = await boardQueue(board.url, `${POOL}.${LANE}`, TABS[place]);
    const shown = new Set(tab?.jobs.map(({ id }) => id));
    const missing = healthy.filter((id) => !shown.has(id)).length;
    must(missing === 0, `the board's tab lacks ${missing} of the others`);

    const worker = await fleet.worker();
    const from = performance.now();
    await fleet.untilAll("completed", healthy, NEIGHBOURS_MS + delayMs);
    const neighboursMs = Math.round(performance.now() - from);
    const dead = await until(
      "each damaged one is dead",
      async () => counted(told(worker, "dead-letter:stored").map(({ errorClass }) => String(errorClass))),
      (classes) => Object.values(classes).reduce((sum, count) => sum + count, 0) >= damaged.length,
    );
    must(Object.keys(dead).join() === "MalformedJob", `they died of ${JSON.stringify(dead)}`);
    const failedMs = Math.round(performance.now() - from);
    await until(
      "nothing is left in the lane",
      async () => fleet.installation.records.counts(),
      (counts) => Object.values(counts).every((count) => count === 0),
    );
    const errors = told(worker, "worker:error").length;
    must(errors <= 5, `the worker logged ${errors} errors`);
    return { neighboursMs, failedMs, errors };
  },
});

export const unreadableJobs: TrialCase<Site> = {
  name: "unreadable",
  trials: [among("prioritised"), among("waiting"), among("delayed")],
};
