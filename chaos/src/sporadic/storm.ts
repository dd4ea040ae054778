/**
 * Workers are killed every few seconds for a minute, under mixed load and with a few throttles: how soon after the last
 * kill is the quota used again, and what became of the jobs?
 */
import { setTimeout as sleep } from "node:timers/promises";
import { startServices } from "@sluice/services";
import type { RunOptions } from "../command.ts";
import { isLost } from "../check.ts";
import { readCalls, type SeenCall } from "../evidence.ts";
import { addFaults } from "../faults.ts";
import { startInstallation, type Installation } from "../installation.ts";
import { keepFull } from "../keep-full.ts";
import { SHAPES } from "../orders.ts";
import { seeded } from "../random.ts";
import { startSupervised } from "../supervisor.ts";

export interface StormOptions extends RunOptions {
  readonly seed: number;
  /** How long workers are killed, milliseconds. Default a minute. */
  readonly stormMs?: number;
  /** How long the fleet is looked at afterwards, milliseconds. Default 90 s. */
  readonly watchMs?: number;
}

export interface StormFigures {
  readonly kills: number;
  readonly jobs: number;
  readonly dead: number;
  /** Nowhere to be found. */
  readonly lost: number;
  /** Jobs of which a call was made after their answer was stored. */
  readonly paidTwice: number;
  /** From the last kill until the quota was used to 95 % over ten seconds; `null`: not while it was looked at. */
  readonly fullAfterS: number | null;
  /** Of the quota, in each ten seconds after the last kill. */
  readonly used: readonly number[];
}

const POOL = "storm";
const MODEL = "us.anthropic.claude-haiku-4-5-storm";
const WORKERS = 3;
const KILL_EVERY_MS = 3_000;
const CALLS_PER_SECOND = 20;
/** '429 can occur within the quota', as AWS says. */
const THROTTLED = 0.03;
export const FULL_SHARE = 0.95;
const SPAN_MS = 10_000;
const LANES = ["critical", "standard", "bulk"];
/** Critical comes and goes, the others are always full. */
const DEPTHS = { critical: 2, standard: 150, bulk: 150 };
const STORM_MS = 60_000;
const WATCH_MS = 90_000;
const WARM_UP_MS = 10_000;
const DEADLINE_MS = 900_000;
const MAX_ATTEMPTS = 5;
const SETTLE_MS = 3_000;

export async function storm(options: StormOptions): Promise<StormFigures> {
  const {
    seed,
    stormMs = STORM_MS,
    watchMs = WATCH_MS,
    dataDir,
    redisUrl,
    dynamoDbUrl,
    onProgress,
  } = options;
  await using services = await startServices({
    dataDir,
    redisUrl,
    dynamoDbUrl,
    simulator: { models: { [MODEL]: simulated }, args: ["--seed", String(seed)] },
  });
  await using installation = await startInstallation({
    pools: { scopes: { main: { region: "us-east-1" } }, pools: { [POOL]: pool } },
    folder: services.runFolder,
    locks: "shipped",
    ...services,
  });
  const { records } = installation;
  await Promise.all(Array.from({ length: WORKERS }, async () => startSupervised(installation)));
  await addFaults(services.simulatorUrl, [{ model: MODEL, fault: "too-many-requests", rate: THROTTLED }]);
  const done = new AbortController();
  const full = Object.entries(DEPTHS).map(async ([lane, depth]) =>
    keepFull(records, { pool: POOL, lane, depth }, (index) => orderOf(lane, index), done.signal),
  );
  await sleep(WARM_UP_MS);
  const kills = await killWorkers(installation, stormMs, seed);
  const calmAt = Date.now();
  onProgress(`${kills} kills in ${stormMs / 1_000} s; looking on for ${watchMs / 1_000} s`);
  await sleep(watchMs);
  done.abort();
  const ids = (await Promise.all(full)).flat();
  const used = usedSince(
    calmAt,
    calmAt + watchMs,
    [...(await readCalls(services.simulatorUrl)).values()].flat(),
  );
  await installation.stop();
  await sleep(SETTLE_MS);
  const [found, calls] = [await records.findAll(ids), await readCalls(services.simulatorUrl)];
  const outcomes = found.map(({ outcome }) => outcome);
  const paidTwice = ids.filter((id, index) => {
    const outcome = outcomes[index];
    return (
      outcome?.outcome === "completed" && calls.get(id)?.some(({ startedAt }) => startedAt > outcome.endedAt)
    );
  });
  return {
    kills,
    jobs: ids.length,
    dead: outcomes.filter((outcome) => outcome?.outcome === "dead").length,
    lost: found.filter(isLost).length,
    paidTwice: paidTwice.length,
    fullAfterS: fullAfter(used),
    used: used.filter((_, index) => index % (SPAN_MS / STEP_MS) === 0),
  };

  function orderOf(lane: string, index: number) {
    return {
      shape: SHAPES[index % SHAPES.length] ?? "converse",
      text: `Job ${index} of ${lane}, seed ${seed}: say something about locks and sluices.`,
      maxTokens: 60,
      deadlineMs: DEADLINE_MS,
      maxAttempts: MAX_ATTEMPTS,
    };
  }
}

/** One after the other, whichever the seed says; each is replaced at once. Resolves to how many. */
async function killWorkers(installation: Installation, stormMs: number, seed: number): Promise<number> {
  const random = seeded(seed);
  const replacements: Promise<unknown>[] = [];
  const endsAt = Date.now() + stormMs;
  let kills = 0;
  while (Date.now() < endsAt) {
    const alive = installation.workers.filter(({ running }) => running);
    const victim = alive[Math.floor(random() * alive.length)];
    if (victim !== undefined) {
      victim.kill("SIGKILL");
      kills += 1;
      replacements.push(startSupervised(installation));
    }
    await sleep(KILL_EVERY_MS);
  }
  await Promise.all(replacements);
  return kills;
}

const STEP_MS = 1_000;

/** Calls that started in each span, as a part of those that the quota carries; one span for each step. Pure. */
export function usedSince(from: number, to: number, calls: readonly Pick<SeenCall, "startedAt">[]): number[] {
  const spans = Math.max(0, Math.floor((to - from - SPAN_MS) / STEP_MS) + 1);
  const carried = (CALLS_PER_SECOND * SPAN_MS) / 1_000;
  return Array.from({ length: spans }, (_, step) => {
    const begin = from + step * STEP_MS;
    const started = calls.filter(({ startedAt }) => startedAt >= begin && startedAt < begin + SPAN_MS);
    return Math.round((started.length / carried) * 1_000) / 1_000;
  });
}

/** Seconds to the end of the first span that is full; `null`: none is. Pure. */
export function fullAfter(used: readonly number[]): number | null {
  const first = used.findIndex((share) => share >= FULL_SHARE);
  return first === -1 ? null : (first * STEP_MS + SPAN_MS) / 1_000;
}

const pool = {
  scope: "main",
  model: MODEL,
  lanes: LANES,
  burndown: 1,
  slots: 32,
  quota: { tokensPerMinute: 10_000_000, requestsPerMinute: CALLS_PER_SECOND * 60 },
};

const simulated = {
  tokensPerMinute: 1e9,
  requestsPerMinute: null,
  burndown: 1,
  latency: { timeToFirstTokenMs: 500, tokensPerSecond: 50, sigma: 0.4 },
  answer: { medianTokens: 25 },
};
