/** What a fleet says while what it stands on is away: the first error, then a line now and then, then that it is over. */
import { setTimeout as sleep } from "node:timers/promises";
import { startRedis, type RunningService } from "@sluice/services";
import { must, type Trial, type TrialCase } from "../../trials/trial.ts";
import { until } from "../fleet.ts";
import { askFor, post, tryPost } from "../http.ts";
import type { Site } from "../site.ts";

const AWAY_MS = 30_000;
/** Lines of one program from the beginning of the outage to its end and the word of it. A worker wrote 1,749. */
const MOST_LINES = 20;
const ASK_EVERY_MS = 500;

const OUTAGES: Readonly<Record<string, (redis: RunningService) => Promise<void>>> = {
  killed: async (redis) => {
    await redis.kill();
    await sleep(AWAY_MS);
    await redis.restart();
  },
  "standing still": async ({ pid }) => {
    process.kill(pid, "SIGSTOP");
    await sleep(AWAY_MS);
    process.kill(pid, "SIGCONT");
  },
};

const away = (how: string, outage: (redis: RunningService) => Promise<void>): Trial<Site> => ({
  name: `Redis ${how} for ${AWAY_MS / 1_000} s`,
  holds: `Worker, API and board, asked all the while, write ${MOST_LINES} lines each at most; afterwards every job is answered`,
  run: async (site) => {
    await using redis = await startRedis({ dataDir: await site.folder(), fsync: "always" });
    await using fleet = await site.fleet({ redisUrl: redis.url });
    const env = { LOG_LEVEL: "info" };
    const [worker, api, board] = await Promise.all([
      fleet.worker(env),
      fleet.listener("api", env),
      fleet.listener("board", env),
    ]);
    const before = await Promise.all(Array.from({ length: 20 }, async () => post(api.url)));
    await fleet.untilAll(
      "completed",
      before.map(({ id }) => id),
    );
    const waiting = await fleet.add(Array.from({ length: 10 }, () => ({ delayMs: AWAY_MS / 2 })));
    const programs = { worker, api: api.process, board: board.process };
    const from = Object.fromEntries(
      Object.entries(programs).map(([name, { lines }]) => [name, lines.length]),
    );
    const over = new AbortController();
    const callers = callAllTheTime([api.url, board.url], over.signal);
    await outage(redis);
    const ids = await until(
      "the API takes jobs again",
      async () => tryPost(api.url),
      ({ status }) => status === 202,
    ).then(async () => Promise.all(Array.from({ length: 10 }, async () => (await post(api.url)).id)));
    const drainedMs = await fleet.untilAll("completed", [...waiting, ...ids]);
    over.abort();
    await callers;
    // Jobs are no matter of an outage.
    const written = Object.fromEntries(
      Object.entries(programs).map(([name, { lines }]) => [
        `${name}Lines`,
        lines.slice(from[name]).filter(({ msg }) => !msg.startsWith("job:")).length,
      ]),
    );
    for (const [name, lines] of Object.entries(written)) {
      const said = Object.values(programs).flatMap((program) =>
        program.lines.slice(-3).map(({ msg }) => msg),
      );
      must(lines <= MOST_LINES, `${name}: ${lines}, among them ${said.join(", ")}`);
    }
    return { ...written, drainedMs };
  },
});

/** Callers post and look, whatever they are answered. */
async function callAllTheTime([api = "", board = ""]: readonly string[], over: AbortSignal): Promise<void> {
  const open = new Set<Promise<unknown>>();
  while (!over.aborted) {
    for (const asked of [tryPost(api), askFor(`${board}/api/queues`)]) {
      const one = asked.catch(() => undefined).finally(() => open.delete(one));
      open.add(one);
    }
    await sleep(ASK_EVERY_MS);
  }
  await Promise.all(open);
}

/** They wait for an outage most of the time, so they run beside the others. */
export const quiet: TrialCase<Site> = {
  name: "quiet",
  beside: true,
  trials: Object.entries(OUTAGES).map(([how, outage]) => away(how, outage)),
};
