/** A Redis that is not what it was: empty, evicting, without its file, or another than the one that was meant. */
import { startReplicaPair } from "@sluice/services";
import { must, type Trial, type TrialCase } from "../../trials/trial.ts";
import {
  Fleet,
  LANES,
  POOL,
  post,
  submit,
  until,
  untilAccepted,
  untilReadiness,
  type Listening,
} from "../fleet.ts";
import { administer, ownRedis, type Ground } from "../ground.ts";
import type { Started } from "../../process.ts";

const NOTICED_MS = 15_000;

interface Programs {
  readonly fleet: Fleet;
  readonly api: Listening;
  readonly all: Readonly<Record<"worker" | "api" | "board", Started>>;
}

async function startAll(ground: Ground, redisUrl: string): Promise<Programs> {
  const fleet = await Fleet.start(ground, { redisUrl });
  const [api, board, worker] = await Promise.all([
    fleet.start("api"),
    fleet.start("board"),
    fleet.installation.startWorker(),
  ]);
  // They listen before they have looked at Redis, and what it was then is what they compare with.
  await Promise.all([api, board].map(async (program) => untilReadiness(program, 200, NOTICED_MS)));
  return { fleet, api, all: { worker, api: api.process, board: board.process } };
}

/** Each program has logged it. */
async function untilTold(
  all: Programs["all"],
  what: string,
  test: (line: Started["lines"][number]) => boolean,
) {
  for (const [name, program] of Object.entries(all)) {
    await until(`the ${name} tells ${what}`, async () => program.lines.some(test), {
      withinMs: NOTICED_MS,
      found: () => program.text.slice(-600),
    });
  }
}

/** What must follow when Redis has come back empty. */
async function mustRecover({
  fleet,
  api,
  all,
}: Programs): Promise<{ ceiling: number; acceptedAfterMs: number }> {
  await untilTold(all, "the loss", ({ msg, level }) => msg === "redis:emptied" && level === "error");
  const limiter = fleet.installation.limiter(POOL);
  let ceiling = 0;
  await until(
    "the limits are there again",
    async () => {
      // Until they are, there is no such pool.
      const tokens = await limiter.inspect(POOL).then(
        ({ dimensions }) => dimensions.tokens,
        () => undefined,
      );
      ceiling = tokens?.ceiling ?? 0;
      return ceiling > 0 && (tokens?.level ?? Infinity) < 1_000_000_000 / 60;
    },
    { withinMs: NOTICED_MS, found: () => `the ceiling is ${ceiling}` },
  );
  must(ceiling >= 0.5 && ceiling < 0.9, `the ceiling began at ${ceiling}`);
  const { id, tookMs } = await untilAccepted(api, NOTICED_MS);
  const { ids } = await submit(
    api,
    LANES.map((lane) => ({ lane, prompt: "After" })),
  );
  await fleet.untilEnded([id, ...ids]);
  return { ceiling, acceptedAfterMs: tookMs };
}

const flushed: Trial<Ground> = {
  name: "FLUSHALL",
  holds:
    "An emptied Redis is told by worker, API and board; the limits are published again with nothing in hand, the ceiling begins at half, jobs run",
  async run(ground) {
    await using server = await ownRedis(ground);
    using redis = administer(server.url);
    const programs = await startAll(ground, server.url);
    await using _ = programs.fleet;
    const { ids } = await submit(programs.api, [{ prompt: "Before" }]);
    await programs.fleet.untilEnded(ids);
    await redis.flushall();
    return await mustRecover(programs);
  },
};

const emptyReplica: Trial<Ground> = {
  name: "a replica that was empty",
  holds: "A fail-over to a replica that had lost its data is told and mended in the same way",
  async run(ground) {
    await using pair = await startReplicaPair({ dataDir: ground.newFolder() });
    using replica = administer(pair.second.url);
    const programs = await startAll(ground, pair.url);
    await using _ = programs.fleet;
    const { ids } = await submit(programs.api, [{ prompt: "Before" }]);
    await programs.fleet.untilEnded(ids);
    await replica.replicaof("NO", "ONE");
    await replica.flushall();
    await pair.promote();
    return await mustRecover(programs);
  },
};

/** The programs that stay, and how each is run. */
const STAYING = ["api", "board", "worker"] as const;

async function mustEnd(
  fleet: Fleet,
  programs: readonly ("api" | "board" | "worker" | "cli")[],
  redisUrl: string,
  sentence: RegExp,
): Promise<void> {
  // One after another: on a busy machine four at once take longer than they are given.
  for (const program of programs) {
    const args = program === "cli" ? ["quota", "show", POOL] : [];
    const { code, text } = await fleet.run(program, args, { REDIS_URL: redisUrl });
    must(code === 1, `the ${program} ended with ${code} on ${redisUrl}: ${text.slice(0, 300)}`);
    must(sentence.test(text), `the ${program} says '${text.slice(0, 300)}'`);
    must(!/\n\s+at /.test(text), `the ${program} prints a stack: ${text.slice(0, 300)}`);
  }
}

const evictsAtStart: Trial<Ground> = {
  name: "evicts at the start",
  holds: "API, board and worker end with a sentence on a Redis that evicts",
  async run(ground) {
    await using server = await ownRedis(ground, "--maxmemory-policy", "allkeys-lru");
    await using fleet = await Fleet.start(ground, { redisUrl: server.url });
    await mustEnd(fleet, STAYING, server.url, /Set maxmemory-policy to noeviction/);
  },
};

const unsafe: Trial<Ground>[] = [
  {
    name: "evicts later",
    setting: "maxmemory-policy",
    bad: "allkeys-lru",
    was: "noeviction",
    code: "evicts",
  },
  { name: "loses its file", setting: "appendonly", bad: "no", was: "yes", code: "persistence-lost" },
].map(({ name, setting, bad, was, code }) => ({
  name,
  holds: `A Redis that ${name} is told by every program, /readyz is 503, posts are refused as redis-unsafe; set right, all goes on`,
  async run(ground) {
    await using server = await ownRedis(ground);
    using redis = administer(server.url);
    const programs = await startAll(ground, server.url);
    await using _ = programs.fleet;
    const { fleet, api, all } = programs;
    const { ids } = await submit(api, [{ prompt: "Before" }]);
    await redis.config("SET", setting, bad);
    await untilReadiness(api, 503, 5_000);
    const reply = await post(api, { prompt: "Meanwhile" });
    must(reply.status === 503 && reply.code === "redis-unsafe", `answered ${reply.status} (${reply.code})`);
    await untilTold(all, code, (line) => line.msg === "redis:trouble" && line["code"] === code);
    await redis.config("SET", setting, was);
    await untilReadiness(api, 200, 5_000);
    const { id, tookMs } = await untilAccepted(api, 5_000);
    await untilTold(all, "its end", (line) => line.msg === "redis:recovered" && line["code"] === code);
    await fleet.untilEnded([...ids, id]);
    return { acceptedAfterMs: tookMs };
  },
}));

const elsewhere: Trial<Ground> = {
  name: "a database that is not there",
  holds:
    "With a database number out of range, or a path that is none, API, board, worker and sluice end with a sentence, and nothing is written into database 0",
  async run(ground) {
    await using server = await ownRedis(ground, "--databases", "4");
    using redis = administer(server.url);
    // What looks after the jobs here writes keys of its own, so that is elsewhere.
    await using right = await ownRedis(ground);
    await using fleet = await Fleet.start(ground, { redisUrl: right.url });
    const programs = [...STAYING, "cli"] as const;
    await mustEnd(fleet, programs, `${server.url}/4`, /no database 4/);
    await mustEnd(fleet, programs, `${server.url}/production`, /number of a database/);
    const strays = await redis.dbsize();
    must(strays === 0, `${strays} keys were written into database 0`);
  },
};

export const changed: TrialCase<Ground> = {
  name: "changed",
  trials: [flushed, emptyReplica, evictsAtStart, ...unsafe, elsewhere],
};
