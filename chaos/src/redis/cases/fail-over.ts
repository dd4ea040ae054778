/** A primary gives way to its replica, or cannot take writes for a while, and every connection stays open. */
import { startRedis, startReplicaPair, type ReplicaPair } from "@sluice/services";
import { must, type Trial, type TrialCase } from "../../trials/trial.ts";
import {
  Fleet,
  mustBeRefusal,
  prompt,
  post,
  Stream,
  submit,
  until,
  untilAccepted,
  untilReadiness,
  type Listening,
} from "../fleet.ts";
import { administer, figure, type Ground } from "../ground.ts";

/** A caller who is refused comes back after some seconds; by then all must be well again. */
const SOON_MS = 5_000;

async function startOn(ground: Ground, pair: ReplicaPair): Promise<{ fleet: Fleet; api: Listening }> {
  const fleet = await Fleet.start(ground, { redisUrl: pair.url });
  const [api] = await Promise.all([fleet.start("api"), fleet.installation.startWorker()]);
  return { fleet, api };
}

const newPair = async (ground: Ground): Promise<ReplicaPair> =>
  startReplicaPair({ dataDir: ground.newFolder() });

/** How long no post was accepted, milliseconds: from `from` to the first answer of the last that was refused. */
function gapMs(stream: Stream, from: number): number {
  const refused = stream.replies.filter(({ id, at }) => id === undefined && at > from);
  return Math.round(Math.max(0, ...refused.map(({ at }) => at - from)));
}

const planned: Trial<Ground> = {
  name: "connections stay open",
  holds:
    "After a fail-over that leaves every connection at the former primary posts are accepted again within 5 s, blocked fetches are woken, and everything accepted ends",
  async run(ground) {
    await using pair = await newPair(ground);
    const { fleet, api } = await startOn(ground, pair);
    await using _ = fleet;
    await using stream = new Stream(api, 25);
    await until("40 were accepted", async () => stream.accepted.length >= 40, { withinMs: 15_000 });
    const from = performance.now();
    await pair.failOver();
    const before = stream.accepted.length;
    await until("100 more were accepted", async () => stream.accepted.length >= before + 100, {
      withinMs: 20_000,
    });
    await stream.stop();
    for (const reply of stream.replies) if (reply.id === undefined) mustBeRefusal(reply);
    const refusedForMs = gapMs(stream, from);
    must(refusedForMs < SOON_MS, `posts were refused for ${refusedForMs} ms`);
    await fleet.untilEnded(stream.accepted);
    await fleet.mustAgree(stream.accepted, { end: "completed" });
    using former = administer(pair.first.url);
    const unblocked = await figure(former, "errorstats", "errorstat_UNBLOCKED");
    must(unblocked > 0, "no connection was unblocked, so half of this proves nothing");
    const refused = stream.replies.length - stream.accepted.length;
    return { accepted: stream.accepted.length, refused, refusedForMs, unblocked };
  },
};

const late: Trial<Ground> = {
  name: "the name follows later",
  holds:
    "While every way leads to a demoted primary /readyz is 503 and posts are told when to come back; within 5 s of the name's change they are accepted, and all accepted jobs end",
  async run(ground) {
    await using pair = await newPair(ground);
    const { fleet, api } = await startOn(ground, pair);
    await using _ = fleet;
    const { ids } = await submit(api, [{ prompt: "Before" }]);
    await pair.failOver({ leads: false });
    const message = await untilReadiness(api, 503, SOON_MS);
    must(/replica/.test(message), `/readyz says '${message}'`);
    const refused = await Promise.all([1, 2, 3].map(async () => post(api, { prompt: "Meanwhile" })));
    refused.forEach(mustBeRefusal);
    pair.leadTo(pair.second);
    const { id, tookMs } = await untilAccepted(api, SOON_MS);
    await untilReadiness(api, 200, SOON_MS);
    await fleet.untilEnded([...ids, id]);
    return { acceptedAfterMs: tookMs };
  },
};

const lonely: Trial<Ground> = {
  name: "without its replica",
  holds:
    "A primary that lacks the replica it must have (NOREPLICAS) is told by /readyz and by 503; once it is back all goes on by itself",
  async run(ground) {
    await using pair = await startReplicaPair({
      dataDir: ground.newFolder(),
      settings: ["--min-replicas-max-lag", "2"],
    });
    using primary = administer(pair.first.url);
    using replica = administer(pair.second.url);
    await primary.config("SET", "min-replicas-to-write", "1");
    const { fleet, api } = await startOn(ground, pair);
    await using _ = fleet;
    const { ids } = await submit(api, [{ prompt: "Before" }]);
    await replica.replicaof("NO", "ONE");
    await untilReadiness(api, 503, 10_000);
    mustBeRefusal(await post(api, { prompt: "Meanwhile" }));
    await replica.replicaof("127.0.0.1", Number(new URL(pair.first.url).port));
    const { id, tookMs } = await untilAccepted(api, 10_000);
    await untilReadiness(api, 200, SOON_MS);
    await fleet.untilEnded([...ids, id]);
    await fleet.mustAgree([...ids, id], { end: "completed" });
    return { acceptedAfterMs: tookMs };
  },
};

const loading: Trial<Ground> = {
  name: "loading",
  holds:
    "While a restarted Redis loads its data for seconds /readyz is 503 and posts are told when to come back; then jobs that waited, ran and came before all end, one call each",
  async run(ground) {
    const keys = 8_000;
    // What each key takes to be read, microseconds: a large dataset without the size.
    const slow = ["--key-load-delay", "1000", "--loading-process-events-interval-bytes", "1024"];
    await using server = await startRedis({ dataDir: ground.newFolder(), fsync: "always", settings: slow });
    using redis = administer(server.url);
    await redis.mset(Object.fromEntries(Array.from({ length: keys }, (_, n) => [`large-${n}`, prompt(100)])));
    await redis.bgrewriteaof();
    await until(
      "the file is written",
      async () => (await figure(redis, "persistence", "aof_base_size")) > keys,
      {
        withinMs: 10_000,
      },
    );
    await using fleet = await Fleet.start(ground, { redisUrl: server.url, callMs: 1_000, slots: 8 });
    const [api] = await Promise.all([fleet.start("api"), fleet.installation.startWorker()]);
    const { ids } = await submit(
      api,
      Array.from({ length: 24 }, () => ({ prompt: prompt(1_000) })),
    );
    await server.kill();
    const back = server.restart();
    await until("Redis is loading", async () => isLoading(redis), { withinMs: 10_000 });
    const message = await untilReadiness(api, 503, SOON_MS);
    must(/loading|does not answer|refuses/i.test(message), `/readyz says '${message}'`);
    mustBeRefusal(await post(api, { prompt: "Meanwhile" }));
    must(await isLoading(redis), "Redis had loaded by then, so this proves nothing");
    await back;
    const { id, tookMs } = await untilAccepted(api, SOON_MS);
    await fleet.untilEnded([...ids, id]);
    await fleet.mustAgree([...ids, id], { end: "completed", calls: [1, 1] });
    return { acceptedAfterMs: tookMs };
  },
};

async function isLoading(redis: Parameters<typeof figure>[0]): Promise<boolean> {
  const text = await redis.ping().catch(String);
  return text.includes("LOADING") || (await figure(redis, "persistence", "loading").catch(() => 0)) === 1;
}

export const failOver: TrialCase<Ground> = { name: "fail-over", trials: [planned, late, lonely, loading] };
