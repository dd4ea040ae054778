/** Redis crashes with its machine and comes back without its last second: DynamoDB and Bedrock remember more than it. */
import { cp, rm } from "node:fs/promises";
import { join } from "node:path";
import { startRedis, type RunningService } from "@sluice/services";
import { countInFlight } from "../../evidence.ts";
import { must, type Trial, type TrialCase } from "../../trials/trial.ts";
import { Fleet, OTHER_POOL, POOL, submit, until, type Job } from "../fleet.ts";
import type { Ground } from "../ground.ts";

/** Far less than the lease of a call of these pools: 60 s of the call, and a minute of grace. */
const BACK_MS = 45_000;

interface Rollback {
  readonly server: RunningService;
  /** From now on what Redis writes will be lost. */
  readonly snapshot: () => Promise<void>;
  /** Kills Redis, and starts it with what it had then. */
  readonly restore: () => Promise<void>;
}

async function startRollback(ground: Ground): Promise<Rollback> {
  const dataDir = ground.newFolder();
  const server = await startRedis({ dataDir, fsync: "always" });
  const [now, then] = [join(dataDir, "redis"), join(dataDir, "then")];
  return {
    server,
    // The file only grows: a copy of it is what was on the disk at some moment, but for a last piece that Redis drops.
    snapshot: async () => cp(now, then, { recursive: true }),
    async restore() {
      await server.kill();
      await rm(now, { recursive: true });
      await cp(then, now, { recursive: true });
      await server.restart();
    },
  };
}

const jobs = (count: number, job: Job): Job[] =>
  Array.from({ length: count }, (_, n) => ({ ...job, prompt: `${String(job["prompt"])} ${n}` }));

const lettersAgree: Trial<Ground> = {
  name: "letters and outcomes",
  holds:
    "After a lost second no letter says dead of a job that was answered, no dead job is without its letter, and none is lost",
  async run(ground) {
    const { server, snapshot, restore } = await startRollback(ground);
    await using _ = server;
    await using fleet = await Fleet.start(ground, { redisUrl: server.url, callMs: 300, slots: 4 });
    const [api] = await Promise.all([
      fleet.start("api"),
      fleet.installation.startWorker({ SLUICE_RECONCILE_INTERVAL_MS: "1000" }),
    ]);
    const { ids } = await submit(api, [
      // These heal: dead in the second that is lost, answered after it.
      ...jobs(20, { prompt: "[[sim:ValidationException*1]]", delayMs: 3_000 }),
      ...jobs(20, { prompt: "[[sim:ValidationException]]", delayMs: 3_000 }),
      ...jobs(60, { prompt: "Answer", delayMs: 2_000 }),
    ]);
    await snapshot();
    const healed = ids.slice(0, 20);
    await untilLetters(fleet, healed, "dead");
    await restore();
    await fleet.untilEnded(ids);
    await untilLetters(fleet, healed, "resolved");
    // Answers of the lost second are bought again: nobody else remembers them.
    await fleet.mustAgree(ids, { unheard: 1 });
    return { answered: ids.length - 20 };
  },
};

/** Waits until all letters are in this state. */
async function untilLetters(fleet: Fleet, ids: readonly string[], state: "dead" | "resolved"): Promise<void> {
  let others: string[] = [];
  await until(
    `the letters are ${state}`,
    async () => {
      const found = await fleet.installation.records.findAll(ids);
      others = found.flatMap(({ letter, outcome, lane }) =>
        letter === state
          ? []
          : [`${letter ?? "no letter"} of one that is ${outcome?.outcome ?? lane ?? "lost"}`],
      );
      return others.length === 0;
    },
    {
      withinMs: BACK_MS,
      everyMs: 250,
      found: () => `${others.length} are not: ${others.slice(0, 5).join(", ")}`,
    },
  );
}

const replayed: Trial<Ground> = {
  name: "a replay after it",
  holds:
    "Letters whose deaths Redis has forgotten are replayed while their jobs run again: each is answered once, paid once, and its letter resolved",
  async run(ground) {
    const { server, snapshot, restore } = await startRollback(ground);
    await using _ = server;
    await using fleet = await Fleet.start(ground, { redisUrl: server.url, callMs: 500, slots: 4 });
    const [api] = await Promise.all([
      fleet.start("api"),
      fleet.installation.startWorker({ SLUICE_RECONCILE_INTERVAL_MS: "1000" }),
    ]);
    const heal = jobs(20, { prompt: "[[sim:ValidationException*1]]", delayMs: 2_000 });
    const { ids } = await submit(api, heal);
    await snapshot();
    await untilLetters(fleet, ids, "dead");
    await restore();
    const { code, text } = await fleet.run("cli", ["dead-letters", "replay", "--all"]);
    must(code !== null, `sluice did not end: ${text.slice(0, 300)}`);
    await untilLetters(fleet, ids, "resolved");
    const answers = await fleet.answered(ids);
    const paidTwice = answers.filter((count) => count > 1).length;
    const never = answers.filter((count) => count === 0).length;
    must(
      paidTwice === 0 && never === 0,
      `${paidTwice} were answered twice, ${never} never: ${text.slice(0, 300)}`,
    );
    for (const id of ids) {
      const response = await fetch(`${api.url}/v1/jobs/${id}`);
      const body = await response.text();
      must(body.includes('"completed"'), `a caller reads ${body.slice(0, 200)}`);
    }
    return { answered: ids.length, paidTwice };
  },
};

const inFlight: Trial<Ground> = {
  name: "calls in flight",
  holds:
    "Jobs whose calls were under way in the dataset that came back, and ended in the second that is lost, end within 45 s, not after the two minutes of their call's lease",
  async run(ground) {
    const { server, snapshot, restore } = await startRollback(ground);
    await using _ = server;
    await using fleet = await Fleet.start(ground, { redisUrl: server.url, callMs: 2_000, slots: 12 });
    const [api] = await Promise.all([fleet.start("api"), fleet.installation.startWorker()]);
    const { ids } = await submit(api, [
      ...jobs(6, { pool: POOL, prompt: "Answer" }),
      ...jobs(6, { pool: OTHER_POOL, prompt: "Answer" }),
    ]);
    await until(
      "all calls are under way",
      async () => (await countInFlight(fleet.simulatorUrl)) === ids.length,
      {
        withinMs: 15_000,
      },
    );
    await snapshot();
    await fleet.untilEnded(ids);
    const from = performance.now();
    await restore();
    await fleet.untilEnded(ids, BACK_MS);
    const endedAfterMs = Math.round(performance.now() - from);
    await fleet.mustAgree(ids, { end: "completed", unheard: 1, calls: [1, 2] });
    return { endedAfterMs };
  },
};

export const rolledBack: TrialCase<Ground> = {
  name: "rolled-back",
  trials: [lettersAgree, replayed, inFlight],
};
