/**
 * What a fail-over loses when the primary was cut off from its replica before: measured with and without
 * `min-replicas-to-write`, which lets such a primary refuse what it could only lose.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { startReplicaPair } from "@sluice/services";
import { startFaultProxy } from "../../proxy.ts";
import { must, type Measured, type Trial, type TrialCase } from "../../trials/trial.ts";
import { Fleet, Stream, until, untilAccepted } from "../fleet.ts";
import { administer, type Ground } from "../ground.ts";

/** Between two posts, milliseconds. */
const EVERY_MS = 50;
/** From the cut to the fail-over: how long somebody, or something, needs to notice. */
const UNNOTICED_MS = 20_000;

/** How many accepted jobs are nowhere after the fail-over. */
async function lose(
  ground: Ground,
  settings: readonly string[],
): Promise<{ accepted: number; lost: number }> {
  await using pair = await startReplicaPair({ dataDir: ground.newFolder(), settings });
  using replica = administer(pair.second.url);
  const { hostname, port } = new URL(pair.first.url);
  await using link = await startFaultProxy({ host: hostname, port: Number(port) });
  await replica.replicaof(link.host, link.port);
  await until(
    "the replica is linked",
    async () => (await replica.info("replication")).includes("link_status:up"),
    {
      withinMs: 10_000,
    },
  );
  await using fleet = await Fleet.start(ground, { redisUrl: pair.url });
  const api = await fleet.start("api");
  await untilAccepted(api, 15_000);
  await using stream = new Stream(api, EVERY_MS);
  await until("20 were accepted", async () => stream.accepted.length >= 20, { withinMs: 15_000 });
  link.set({ lost: "both" });
  await sleep(UNNOTICED_MS);
  await stream.stop();
  await pair.promote();
  await untilAccepted(api, 15_000);
  const found = await fleet.installation.records.findEnds(stream.accepted);
  const lost = found.filter(({ outcome, lane }) => outcome === undefined && lane === undefined).length;
  return { accepted: stream.accepted.length, lost };
}

function guarded(lagS: number): string[] {
  return ["--min-replicas-to-write", "1", "--min-replicas-max-lag", String(lagS)];
}

const cutOff: Trial<Ground> = {
  name: "a primary cut off for 20 s",
  holds:
    "At 20 posts a second, min-replicas-to-write with a lag of 10 s loses less than without it, and with one of 2 s less still: 60 jobs at most",
  async run(ground) {
    const [without, lag10, lag2] = await Promise.all([
      lose(ground, []),
      lose(ground, guarded(10)),
      lose(ground, guarded(2)),
    ]);
    const figures: Measured = {
      acceptedWithout: without.accepted,
      lostWithout: without.lost,
      acceptedWith10s: lag10.accepted,
      lostWith10s: lag10.lost,
      acceptedWith2s: lag2.accepted,
      lostWith2s: lag2.lost,
    };
    must(without.lost > lag10.lost && lag10.lost > lag2.lost, `lost: ${JSON.stringify(figures)}`);
    must(lag2.lost <= 60, `lost: ${JSON.stringify(figures)}`);
    return figures;
  },
};

/** Waits for time limits of Redis most of the time. */
export const loss: TrialCase<Ground> = { name: "loss", trials: [cutOff], beside: true };
