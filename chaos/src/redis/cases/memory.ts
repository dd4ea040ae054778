/** A Redis that fills up: what Sluice lets in, what others do to it, and how it comes back. */
import { setTimeout as sleep } from "node:timers/promises";
import { countInFlight, readCalls } from "../../evidence.ts";
import { must, type Trial, type TrialCase } from "../../trials/trial.ts";
import {
  Fleet,
  mustBeRefusal,
  OTHER_POOL,
  POOL,
  post,
  prompt,
  submit,
  until,
  untilAccepted,
  type Listening,
  type Reply,
} from "../fleet.ts";
import { administer, figure, fillToTheBrim, ownRedis, refusedWrites, type Ground } from "../ground.ts";

const KB = 1_024;
const limit = (megabytes: number): [string, string] => ["--maxmemory", `${megabytes}mb`];

const many: Trial<Ground> = {
  name: "3,000 jobs through 48 MB",
  holds:
    "60 MB of prompts with their answers pass a Redis of 48 MB: refused ones come back when told to, every accepted one ends, one call each",
  async run(ground) {
    await using server = await ownRedis(ground, ...limit(48));
    using redis = administer(server.url);
    await using fleet = await Fleet.start(ground, {
      redisUrl: server.url,
      callMs: 20,
      slots: 32,
      answerTokens: 1_000,
    });
    const api = await fleet.start("api");
    await fleet.installation.startWorker();
    const from = performance.now();
    const { ids, refusals } = await submit(
      api,
      Array.from({ length: 3_000 }, () => ({ prompt: prompt(20 * KB), maxTokens: 1_000 })),
    );
    await fleet.untilEnded(ids);
    const tookMs = Math.round(performance.now() - from);
    await fleet.mustAgree(ids, { end: "completed", calls: [1, 1] });
    return { refusals, oomOfRedis: await refusedWrites(redis), tookMs };
  },
};

const leaving: Trial<Ground> = {
  name: "SIGTERM at the fullest moment",
  holds:
    "A worker that is told to stop on a full Redis stores every answer it has paid for; no call is made twice",
  async run(ground) {
    await using server = await ownRedis(ground, ...limit(40));
    using redis = administer(server.url);
    await using fleet = await Fleet.start(ground, {
      redisUrl: server.url,
      callMs: 4_000,
      slots: 32,
      answerTokens: 10_000,
    });
    const api = await fleet.start("api");
    const jobs = Array.from({ length: 96 }, () => ({
      // The most urgent lane may use every slot.
      lane: "critical",
      prompt: prompt(20 * KB),
      maxTokens: 10_000,
    }));
    const { ids } = await submit(api, jobs);
    const worker = await fleet.installation.startWorker();
    await until("24 calls are under way", async () => (await countInFlight(fleet.simulatorUrl)) >= 24, {
      withinMs: 30_000,
    });
    await fillToTheBrim(redis);
    worker.kill("SIGTERM");
    const { code } = await worker.exit;
    must(code === 0, `the worker left with exit code ${code}`);
    const paid = await readCalls(fleet.simulatorUrl);
    const kept = await fleet.installation.records.countEnded(ids);
    must(kept === paid.size, `${paid.size} answers were paid for, ${kept} were kept`);

    await fleet.installation.startWorker();
    await redis.del("foreign");
    await fleet.untilEnded(ids);
    const answers = await fleet.answered(ids);
    const paidTwice = answers.filter((count) => count > 1).length;
    must(paidTwice === 0, `${paidTwice} answers were paid twice`);
    await fleet.mustAgree(ids, { end: "completed", calls: [1, 1] });
    return { paidBeforeExit: paid.size, kept, paidTwice };
  },
};

const finished: Trial<Ground> = {
  name: "166 finished jobs of 600 KB",
  holds:
    "What has ended lets go of its request: after 100 MB of jobs through 60 MB posts are accepted at once",
  async run(ground) {
    await using server = await ownRedis(ground, ...limit(60));
    using redis = administer(server.url);
    await using fleet = await Fleet.start(ground, { redisUrl: server.url });
    const api = await fleet.start("api");
    await fleet.installation.startWorker();
    const { ids, refusals } = await submit(
      api,
      Array.from({ length: 166 }, () => ({ prompt: prompt(600 * KB) })),
    );
    await fleet.untilEnded(ids);
    const { id, tookMs } = await untilAccepted(api, 3_000);
    const usedMb = Math.round((await figure(redis, "memory", "used_memory")) / KB / KB);
    await fleet.untilEnded([...ids, id]);
    await fleet.mustAgree([...ids, id], { end: "completed", calls: [1, 1] });
    return { refusals, acceptedAfterMs: tookMs, usedMb };
  },
};

/** Posts so many long jobs at once, to each API its part. */
async function flood(apis: readonly Listening[], count: number): Promise<Reply[]> {
  const text = prompt(700 * KB);
  return Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const api = apis[index % apis.length];
      if (api === undefined) throw new Error("Expected an API");
      return post(api, { prompt: `${index} ${text}` });
    }),
  );
}

/** A request that takes longer than 30 s is cut by the API, as on a machine that is busy with something else. */
const isCut = ({ status }: Reply): boolean => status === 0 || status === 408;

/** @throws Fell when one was answered otherwise than 202 or 503 with Retry-After. */
function sort(replies: readonly Reply[]): { ids: string[]; refused: number; cut: number } {
  const ids = replies.flatMap(({ id }) => (id === undefined ? [] : [id]));
  const refused = replies.filter((reply) => reply.id === undefined && !isCut(reply));
  refused.forEach(mustBeRefusal);
  must(ids.length > 0 && refused.length > 0, `${ids.length} were accepted, ${refused.length} refused`);
  return { ids, refused: refused.length, cut: replies.length - ids.length - refused.length };
}

const floods: Trial<Ground>[] = [1, 2].map((programs) => ({
  name: `300 posts of 700 KB at once, ${programs === 1 ? "one API" : "two APIs"}`,
  holds:
    programs === 1
      ? "No program is refused a write by Redis: what is accepted has room, with the answers of the calls in flight; the rest is answered 503"
      : "Though each API knows only what itself has let in: callers get 202 or 503, and everything accepted ends, one call each",
  async run(ground) {
    await using server = await ownRedis(ground, ...limit(60));
    using redis = administer(server.url);
    await using fleet = await Fleet.start(ground, {
      redisUrl: server.url,
      callMs: 1_500,
      slots: 32,
      answerTokens: 5_000,
    });
    const apis: Listening[] = [];
    for (let each = 0; each < programs; each += 1) apis.push(await fleet.start("api"));
    await fleet.installation.startWorker();
    // Calls whose answers are under way when the flood comes.
    const before = await submit(
      apis[0] ?? (await fleet.start("api")),
      Array.from({ length: 64 }, () => ({ prompt: "Write much", maxTokens: 5_000 })),
    );
    const { ids, refused, cut } = sort(await flood(apis, 300));
    await fleet.untilEnded([...before.ids, ...ids]);
    await fleet.mustAgree([...before.ids, ...ids], { end: "completed", calls: [1, 1] });
    const oomOfRedis = await refusedWrites(redis);
    must(programs > 1 || oomOfRedis === 0, `Redis refused ${oomOfRedis} writes`);
    return { accepted: ids.length, refused, cut, oomOfRedis };
  },
}));

const brim: Trial<Ground> = {
  name: "filled by a foreign key",
  holds:
    "Workers start on a Redis that another tenant has filled to the brim and drain it; posts are refused until the key is gone, and then accepted",
  async run(ground) {
    await using server = await ownRedis(ground, ...limit(30));
    using redis = administer(server.url);
    await using fleet = await Fleet.start(ground, { redisUrl: server.url });
    const api = await fleet.start("api");
    const { ids } = await submit(
      api,
      Array.from({ length: 100 }, () => ({ prompt: prompt(30 * KB) })),
    );
    await fillToTheBrim(redis);
    mustBeRefusal(await post(api, { prompt: "Hello" }));
    await fleet.installation.startWorker();
    await fleet.untilEnded(ids);
    mustBeRefusal(await post(api, { prompt: "Hello" }));
    await redis.del("foreign");
    const { id, tookMs } = await untilAccepted(api, 5_000);
    await fleet.untilEnded([...ids, id]);
    await fleet.mustAgree([...ids, id], { end: "completed", calls: [1, 1] });
    return { acceptedAfterMs: tookMs };
  },
};

const dead: Trial<Ground> = {
  name: "deaths on a full Redis",
  holds:
    "Jobs that fail, wait in a parked pool or are delayed beyond their deadline move to DynamoDB from a full Redis",
  async run(ground) {
    await using server = await ownRedis(ground, ...limit(30));
    using redis = administer(server.url);
    await using fleet = await Fleet.start(ground, { redisUrl: server.url });
    const api = await fleet.start("api");
    await fleet.installation.startWorker();
    await fleet.installation.limiter(OTHER_POOL).operate(OTHER_POOL, { type: "isolate" });
    const delayed = { delayMs: 4_000 };
    const kinds = [
      { ...delayed, pool: POOL, prompt: "[[sim:ValidationException]]" },
      { pool: OTHER_POOL, prompt: "Parked", deadlineMs: 5_000 },
      { ...delayed, pool: OTHER_POOL, prompt: "Delayed and parked", deadlineMs: 1_000 },
    ];
    const jobs = kinds.flatMap((kind) =>
      Array.from({ length: 20 }, (_, n) => ({ ...kind, prompt: `${kind.prompt} ${n}` })),
    );
    const { ids } = await submit(api, jobs);
    await fillToTheBrim(redis);
    await fleet.untilEnded(ids, 40_000);
    must((await refusedWrites(redis)) > 0, "Redis was never full, so this proves nothing");
    await fleet.mustAgree(ids, { end: "dead" });
    await redis.del("foreign");
    await untilAccepted(api, 5_000);
  },
};

const kept: Trial<Ground> = {
  name: "full of answers",
  holds:
    "A Redis that answers have filled is said so with 503 to whoever posts, keeps them readable, and takes jobs again when their time is over",
  async run(ground) {
    await using server = await ownRedis(ground, ...limit(30));
    using redis = administer(server.url);
    await using fleet = await Fleet.start(ground, { redisUrl: server.url, answerTokens: 50_000 });
    const api = await fleet.start("api");
    await fleet.installation.startWorker();
    const ids: string[] = [];
    let refusal: Reply | undefined;
    while (refusal === undefined) {
      const job = { prompt: "Write much", maxTokens: 50_000 };
      const replies = await Promise.all(Array.from({ length: 8 }, async () => post(api, job)));
      ids.push(...replies.flatMap(({ id }) => (id === undefined ? [] : [id])));
      refusal = replies.find(({ id }) => id === undefined);
      // Answers come as jobs do, so that what fills Redis is answers.
      await fleet.untilEnded(ids);
    }
    mustBeRefusal(refusal);
    await fleet.mustAgree(ids, { end: "completed", calls: [1, 1] });
    const outcomes = await redis.keys("*:outcome:*");
    must(outcomes.length > 0, `${outcomes.length} keys of outcomes for ${ids.length} jobs`);
    await Promise.all(outcomes.slice(0, outcomes.length / 2).map(async (key) => redis.pexpire(key, 1)));
    await sleep(100);
    const { tookMs } = await untilAccepted(api, 5_000);
    return { answersUntilRefused: ids.length, acceptedAfterMs: tookMs };
  },
};

export const memory: TrialCase<Ground> = {
  name: "memory",
  trials: [many, leaving, finished, ...floods, brim, dead, kept],
};
