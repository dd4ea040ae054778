/** Jobs of every kind with every fault, over two workers: does each end as the table says, and do both sides agree? */
import { setTimeout as sleep } from "node:timers/promises";
import { startServices } from "@sluice/services";
import type { RunOptions } from "../command.ts";
import { check, type Report } from "../check.ts";
import { readCalls, readInvocations } from "../evidence.ts";
import { startInstallation, type Installation } from "../installation.ts";
import { submitAll } from "../producer.ts";
import { makePlan, type Plan } from "./plan.ts";

export interface JobsOptions extends RunOptions {
  readonly jobs: number;
  readonly seed: number;
  /** How long the jobs may take, milliseconds. Those that have not ended by then count as waiting. */
  readonly timeoutMs: number;
}

const WORKERS = 2;

const LOOK_EVERY_MS = 500;

/** So long after the last end nothing may be on its way any more: settlements, moves, the last lines of logs. */
const SETTLE_MS = 1_500;

/**
 * A worker must not be taken for dead while two busy cores make it stutter: here it is calls that fail, not processes.
 */
const PATIENT_LOCKS = {
  SLUICE_LOCK_IN_HAND_MS: "10000",
  SLUICE_LOCK_CALL_MS: "60000",
  SLUICE_STALLED_INTERVAL_MS: "5000",
  SLUICE_HEARTBEAT_TTL_MS: "15000",
};

export async function runJobs(options: JobsOptions): Promise<Report> {
  const { jobs, seed, dataDir, redisUrl, dynamoDbUrl, onProgress } = options;
  const plan = makePlan(jobs, seed);
  await using services = await startServices({
    dataDir,
    redisUrl,
    dynamoDbUrl,
    simulator: { models: plan.models, args: ["--seed", String(seed)] },
    onProgress,
  });
  await disturbPolls(services.simulatorUrl);
  await using installation = await startInstallation({
    pools: plan.pools,
    folder: services.runFolder,
    ...services,
  });
  const [apiUrl] = await Promise.all([
    installation.startApi(),
    ...Array.from({ length: WORKERS }, async () => installation.startWorker(PATIENT_LOCKS)),
  ]);
  onProgress(`Submitting ${jobs} jobs, seed ${seed}`);
  const ids = await submitAll(
    apiUrl,
    plan.jobs.map(({ submission }) => submission),
  );
  await untilEnded(installation, ids, options);
  await sleep(SETTLE_MS);
  const leaks = await countReservations(installation, plan);
  await installation.stop();
  const report = await judge(installation, plan, ids, services.simulatorUrl);
  return withLeaks(report, leaks);
}

/** Every fifth question about an invocation is answered with a failure: that must cost time and nothing else. */
async function disturbPolls(simulatorUrl: string): Promise<void> {
  const rule = { operation: "GetAsyncInvoke", every: 5, fault: "InternalServerException" };
  const response = await fetch(`${simulatorUrl}/_sim/faults`, { method: "POST", body: JSON.stringify(rule) });
  if (!response.ok) throw new Error(`The simulator refused a rule: ${await response.text()}`);
}

async function untilEnded(
  { records }: Installation,
  ids: readonly string[],
  { timeoutMs, onProgress }: JobsOptions,
): Promise<void> {
  const giveUpAt = Date.now() + timeoutMs;
  let shown = -1;
  for (;;) {
    const ended = await records.countEnded(ids);
    const tenth = Math.floor((ended * 10) / ids.length);
    if (tenth > shown) onProgress(`${ended} of ${ids.length} have ended`);
    shown = Math.max(shown, tenth);
    if (ended === ids.length || Date.now() > giveUpAt) return;
    await sleep(LOOK_EVERY_MS);
  }
}

/** Reservations that nobody gave back although nothing runs any more. */
async function countReservations(installation: Installation, { pools }: Plan): Promise<number> {
  const names = Object.keys(pools.pools);
  const views = await Promise.all(names.map(async (pool) => installation.limiter(pool).inspect(pool)));
  return views.reduce((sum, { reservations }) => sum + reservations, 0);
}

async function judge(
  installation: Installation,
  plan: Plan,
  ids: readonly string[],
  simulatorUrl: string,
): Promise<Report> {
  const [found, calls, invocations] = await Promise.all([
    installation.records.findAll(ids),
    readCalls(simulatorUrl),
    readInvocations(simulatorUrl),
  ]);
  const ours = installation.granted();
  const known = new Set(ids);
  const strays = [...calls].filter(([id]) => !known.has(id)).reduce((sum, [, { length }]) => sum + length, 0);
  const checked = ids.flatMap((id, index) => {
    const [planned, where] = [plan.jobs[index], found[index]];
    if (planned === undefined || where === undefined) return [];
    return [
      {
        id,
        found: where,
        calls: calls.get(id) ?? [],
        invocation: invocations.get(id),
        granted: ours.get(id) ?? 0,
        expected: planned.expected,
        about: `${planned.kind}, ${planned.fault ?? "healthy"}`,
      },
    ];
  });
  return check(checked, strays);
}

function withLeaks(report: Report, leaks: number): Report {
  if (leaks === 0) return report;
  const problem = `${leaks} reservations are held for calls that are over`;
  return {
    ...report,
    disagreements: report.disagreements + leaks,
    problems: [...report.problems, problem],
  };
}
