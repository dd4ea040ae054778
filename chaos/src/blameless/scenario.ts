/**
 * Faults that no job is to blame for, on one worker and on two, with one job, ten and hundreds, asked for in every way,
 * at once and one by one. Each is over long before a deadline: does a job die of one, is one lost or paid twice?
 */
import { setTimeout as sleep } from "node:timers/promises";
import { startServices, type Services } from "@sluice/services";
import type { RunOptions } from "../command.ts";
import { readCalls } from "../evidence.ts";
import { enqueue } from "../orders.ts";
import { eachOf } from "../records.ts";
import { FAULTS, type BlamelessFault } from "./faults.ts";
import { armFigures, sums, type ArmFigures, type EndedArm, type Sums } from "./figures.ts";
import { LANE, makeCases, MODELS, type Arm, type Case, type Sizes } from "./plan.ts";
import { isLate } from "./recovery.ts";
import { LEAD_MS, openOwnSite, openSharedSite, type Site } from "./site.ts";

export interface BlamelessOptions extends RunOptions, Partial<Sizes> {
  readonly seed: number;
  /** Names of faults. Default: all. */
  readonly cases?: readonly string[] | undefined;
  /** How long each fault lasts, milliseconds. Default 30 s. */
  readonly faultMs?: number;
  /** From the beginning of one fault to that of the next, milliseconds. Default 6 s. */
  readonly staggerMs?: number;
}

export interface BlamelessRow extends ArmFigures {
  readonly fault: string;
  readonly workers: number;
  /** Its fault should have been met, and was not: the arm proves nothing. */
  readonly vacuous: boolean;
  /** It was answered too long after its fault. */
  readonly late: boolean;
  readonly arrival: Arm["arrival"];
  readonly shape: Arm["shape"];
}

export interface BlamelessReport {
  readonly sums: Sums;
  readonly rows: readonly BlamelessRow[];
  /** Cases that could not be run to their end, and why. Their jobs are in no figure. */
  readonly failures: readonly string[];
}

const FAULT_MS = 30_000;

/** Five times a fault of default length. What has not ended by then was not delayed by it. */
const DEADLINE_MS = 180_000;
/** The sweeper ends what is past its deadline, and the mover stores it. */
const END_GRACE_MS = 15_000;

const MAX_ATTEMPTS = 5;
const MAX_TOKENS = 60;

/** A handful of faults are under way at once, and two cores can carry them. */
const STAGGER_MS = 6_000;

const LOOK_EVERY_MS = 500;

/** After the last end nothing may be on its way any more, neither calls nor their evidence. */
const SETTLE_MS = 2_000;

/** Fewer than this would all be answered before the fault begins. */
const BACKLOG = 100;

/** @throws RangeError for a fault that there is not. */
export function chosenFaults(names: readonly string[] | undefined): readonly BlamelessFault[] {
  const unknown = names?.filter((name) => !FAULTS.some((fault) => fault.name === name)) ?? [];
  if (unknown.length > 0) throw new RangeError(`There is no fault ${unknown.join(", ")}; --list has all`);
  return FAULTS.filter(({ name }) => names === undefined || names.includes(name));
}

export async function runBlameless(options: BlamelessOptions): Promise<BlamelessReport> {
  const { seed, dataDir, redisUrl, dynamoDbUrl, onProgress } = options;
  const { sizes = [1, 10, 300], fleets = [1, 2], staggerMs = STAGGER_MS } = options;
  const cases = makeCases(chosenFaults(options.cases), seed, { sizes, fleets });
  await using services = await startServices({
    dataDir,
    redisUrl,
    dynamoDbUrl,
    simulator: { models: MODELS, args: ["--seed", String(seed)] },
  });
  await using open = new AsyncDisposableStack();
  const shared = new Map<number, Site>();
  for (const workers of fleets) {
    const own = cases.filter((each) => each.workers === workers && isShared(each));
    if (own.length > 0) shared.set(workers, open.use(await openSharedSite(services, own, workers)));
  }
  onProgress(`${cases.length} cases, seed ${seed}`);
  const names = [...new Set(cases.map(({ fault }) => fault.name))];
  const settled = await Promise.allSettled(
    cases.map(async (each) => {
      await sleep(names.indexOf(each.fault.name) * staggerMs);
      return runCase(each, shared.get(each.workers), services, options);
    }),
  );
  const ended = settled.flatMap((each) => (each.status === "fulfilled" ? each.value : []));
  const failures = settled.flatMap((each, index) =>
    each.status === "rejected" ? [`${describeCase(cases[index])}: ${String(each.reason)}`] : [],
  );
  await sleep(SETTLE_MS);
  const calls = await readCalls(services.simulatorUrl);
  const rows = rowsOf(ended.map((arm) => ({ ...arm, figures: armFigures(arm, calls) })));
  return { sums: sums(rows), rows, failures };
}

function isShared({ fault }: Case): boolean {
  return fault.ailment.at === "model";
}

async function runCase(
  each: Case,
  shared: Site | undefined,
  services: Services,
  options: BlamelessOptions,
): Promise<EndedArm[]> {
  if (isShared(each) && shared !== undefined) return runAt(shared, each, options);
  await using own = await openOwnSite(services, each);
  return await runAt(own, each, options);
}

async function runAt(site: Site, of: Case, options: BlamelessOptions): Promise<EndedArm[]> {
  const { faultMs = FAULT_MS, onProgress } = options;
  const over = site.suffer(of.fault, of.arms, faultMs);
  return Promise.all(
    of.arms.map(async (arm) => {
      const ids = await feed(site, arm, options);
      const faultEndedAt = await over;
      await untilEmpty(site, arm, ids);
      const found = await site.installation.records.findEnds(ids);
      const answered = found.filter(({ outcome }) => outcome?.outcome === "completed").length;
      onProgress(`${describeArm(of, arm)}: ${answered} of ${ids.length} answered`);
      return { of, arm, ids, found, faultEndedAt, felt: site.felt(ids) };
    }),
  );
}

/** Resolves when all are accepted, to their ids. */
async function feed(
  site: Site,
  { pool, jobs, shape, arrival }: Arm,
  options: BlamelessOptions,
): Promise<string[]> {
  const { faultMs = FAULT_MS, seed } = options;
  const begunAt = Date.now();
  const lasts = LEAD_MS * 2 + faultMs;
  const at = (index: number): number => {
    if (arrival === "trickling") return ((index + 0.5) / jobs) * lasts;
    return jobs >= BACKLOG ? 0 : LEAD_MS + 1_000;
  };
  return eachOf(
    Array.from({ length: jobs }, (_, index) => index),
    async (index) => {
      await sleep(Math.max(0, begunAt + at(index) - Date.now()));
      const text = `Job ${index} of ${pool}, seed ${seed}: say something about locks and sluices.`;
      const order = { pool, lane: LANE, shape, text, maxTokens: MAX_TOKENS };
      return enqueue(site.installation.records, {
        ...order,
        deadlineMs: DEADLINE_MS,
        maxAttempts: MAX_ATTEMPTS,
      });
    },
  );
}

/** Until nothing of the pool waits, runs or is on its way to the dead letters; or until every deadline is past. */
async function untilEmpty(
  { installation: { records } }: Site,
  { pool }: Arm,
  ids: readonly string[],
): Promise<void> {
  const giveUpAt = Date.now() + DEADLINE_MS + END_GRACE_MS;
  while (Date.now() < giveUpAt) {
    const { waiting, delayed, active, failed } = await records.lane(pool, LANE).counts();
    if (waiting + delayed + active + failed === 0 && (await records.countEnded(ids)) === ids.length) return;
    await sleep(LOOK_EVERY_MS);
  }
}

function describeArm(of: Case, { jobs, arrival, shape }: Arm): string {
  return `${describeCase(of)}, ${jobs} ${arrival}, ${shape}`;
}

function describeCase(of: Case | undefined): string {
  return `${of?.fault.name}, ${of?.workers === 1 ? "1 worker" : "2 workers"}`;
}

type Counted = EndedArm & { readonly figures: ArmFigures };

function rowsOf(counted: readonly Counted[]): BlamelessRow[] {
  return counted.map(({ of, arm, figures }) => {
    const { arrival, shape } = arm;
    const { name } = of.fault;
    // What strikes some calls only may spare a small arm, but not all arms of its case.
    const together = isByChance(of) ? counted.filter((other) => other.of === of) : [{ figures }];
    const vacuous = together.every((each) => each.figures.struck === 0);
    const late = isLate({ fault: name, ...figures });
    return { fault: name, workers: of.workers, arrival, shape, vacuous, late, ...figures };
  });
}

function isByChance({ fault: { ailment, workers } }: Case): boolean {
  return workers === "one" || (ailment.at === "model" && ailment.rate !== undefined);
}
