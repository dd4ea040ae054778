/** `sluice dev`: the system on this machine, and, with `--jobs`, a run of real documents through it. */
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { DynamoDbStore } from "@sluice/dead-letter";
import { openLetters } from "@sluice/installation/letters";
import { DEFAULT_LANES, scrubUrl } from "@sluice/job";
import { createLogUpdate } from "log-update";
import { print, printJson, tell } from "../terminal.ts";
import { findDocuments } from "./documents.ts";
import { Evidence } from "./evidence.ts";
import { quotaUtilisation, settledUntil } from "./figures.ts";
import { Lanes, type LaneState } from "./lanes.ts";
import { startProgress } from "./progress.ts";
import { makeReport, renderReport, type Report } from "./report.ts";
import { countStates, submitAll } from "./submit.ts";
import { startSystem, type System } from "./system.ts";
import { render, renderLine, type Snapshot } from "./view.ts";
import { BURNDOWN, makeWorkload, MODEL, POOL, type Workload } from "./workload.ts";

export interface DevOptions {
  readonly jobs: number;
  readonly workers: number;
  readonly exit: boolean;
  readonly json: boolean;
  readonly redis: boolean;
}

/** The workspace: where documents are found, and where data goes. */
const ROOT = fileURLToPath(new URL("../../../../", import.meta.url));

const REFRESH_MS = 500;
/** Without a terminal a line is enough now and then. */
const LINE_EVERY_MS = 5_000;

/** What Ctrl-C does, by when it comes. */
const INTERRUPTED = {
  starting: "Stopping as soon as what is being started can be stopped; Ctrl-C again ends it at once",
  running: "Stopping: calls in flight get a few seconds; Ctrl-C again ends it at once",
  stopping: "Stopping already; Ctrl-C again ends it at once",
} as const;

/** Resolves to the exit code: 0, or 1 when a job was lost. */
export async function dev(options: DevOptions): Promise<number> {
  const interrupted = new AbortController();
  const progress = startProgress(tell);
  let stage: keyof typeof INTERRUPTED = "starting";
  // Once asks for an orderly end; twice ends at once, and what was started here ends with this process.
  const interrupt = (): void => {
    if (interrupted.signal.aborted) process.exit(130);
    // First: what is drawn from now on would be drawn over the word.
    interrupted.abort();
    progress.end();
    tell(`\n${INTERRUPTED[stage]}`);
  };
  process.on("SIGINT", interrupt).on("SIGTERM", interrupt);

  if (options.jobs > 0) progress.step("Reading documents to summarise");
  const documents = options.jobs === 0 ? [] : await findDocuments(join(ROOT, "node_modules"));
  const workload = makeWorkload(documents, options.jobs);
  const system = await startSystem({
    dataDir: join(ROOT, ".sluice"),
    redisUrl: givenRedis(process.env["REDIS_URL"], options.redis),
    workers: options.workers,
    pool: POOL,
    model: MODEL,
    lanes: DEFAULT_LANES,
    tokensPerMinute: workload.tokensPerMinute,
    burndown: BURNDOWN,
    slots: workload.slots,
    onProgress(line) {
      // No further step is begun: Ctrl-C ends what looks for a Redis too, and the next way would be a download.
      interrupted.signal.throwIfAborted();
      progress.step(line);
    },
  })
    .catch((error: unknown) => {
      // Ctrl-C reaches a program in the moment of its birth too, before it has a process group of its own.
      if (interrupted.signal.aborted) return undefined;
      throw error;
    })
    .finally(() => progress.end());
  if (system === undefined) return 130;
  stage = "running";
  const stays = process.stdout.isTTY && !options.exit;
  const left = new Promise<"interrupted">((resolve) => {
    if (interrupted.signal.aborted) resolve("interrupted");
    interrupted.signal.addEventListener("abort", () => resolve("interrupted"), { once: true });
  });
  try {
    let lost = 0;
    if (options.jobs > 0) {
      const run = runWorkload(system, workload, stays, interrupted.signal);
      const report = await Promise.race([run, system.broken]);
      if (report === undefined) return 130;
      lost = report.lost;
      print(`\n${renderReport(report, workload.tokensPerMinute)}`);
      if (options.json) printJson(report);
    }
    if (stays) {
      tell(`\nStill running; Ctrl-C ends it\n  board ${system.boardUrl}\n  api   ${system.apiUrl}`);
      await Promise.race([left, system.broken]);
    } else if (!interrupted.signal.aborted) {
      tell("\nStopping all of it; in a terminal and without --exit it goes on running, to look around");
    }
    return lost === 0 ? 0 : 1;
  } finally {
    stage = "stopping";
    await system.stop();
    process.off("SIGINT", interrupt).off("SIGTERM", interrupt);
  }
}

/** Enqueues everything and follows it until nothing waits; `undefined` when interrupted. */
async function runWorkload(
  system: System,
  workload: Workload,
  stays: boolean,
  signal: AbortSignal,
): Promise<Report | undefined> {
  const lanes = new Map<string, number>(DEFAULT_LANES.map((lane) => [lane, 0]));
  for (const { lane } of workload.submissions) lanes.set(lane, (lanes.get(lane) ?? 0) + 1);
  const watch = new Watch(system, workload, lanes);
  const freeze = (): void => watch.freeze(false);
  signal.addEventListener("abort", freeze, { once: true });
  const startedAt = Date.now();
  let goesOn = false;
  try {
    const submitted = submitAll(system.apiUrl, workload.submissions, (lane) => watch.accepted(lane));
    let accepted = false;
    submitted.then(
      () => (accepted = true),
      () => undefined,
    );
    for (;;) {
      if (signal.aborted) return undefined;
      // Asked before the look: what is accepted during it may not be in the picture.
      const complete = accepted;
      const idle = await watch.show(Date.now() - startedAt);
      if (complete && idle) break;
      await Promise.race([sleep(REFRESH_MS), rejection(submitted)]);
    }
    const ids = await submitted;
    goesOn = stays;
    return makeReport({
      lanes,
      states: await countStates(system.apiUrl, ids),
      calls: await watch.calls(),
      tokensPerMinute: workload.tokensPerMinute,
      durationMs: Date.now() - startedAt,
      ...(stays ? { urls: { api: system.apiUrl, board: system.boardUrl } } : {}),
    });
  } finally {
    signal.removeEventListener("abort", freeze);
    await watch.close(goesOn);
  }
}

/** Looks at a running system from outside: lanes in Redis, calls at the simulator, dead letters in DynamoDB. */
class Watch {
  readonly #system: System;
  readonly #workload: Workload;
  readonly #jobs: ReadonlyMap<string, number>;
  readonly #accepted = new Map<string, number>();
  readonly #evidence: Evidence;
  readonly #lanes: Lanes;
  readonly #deadLetters: DynamoDbStore;
  readonly #screen = createLogUpdate(process.stderr);
  #toldAt = 0;
  /** What a terminal shows. */
  #drawn: Snapshot | undefined;
  #frozen = false;

  constructor(system: System, workload: Workload, jobs: ReadonlyMap<string, number>) {
    this.#system = system;
    this.#workload = workload;
    this.#jobs = jobs;
    this.#evidence = new Evidence(system.simulatorUrl);
    this.#lanes = new Lanes(system, POOL, [...jobs.keys()]);
    this.#deadLetters = openLetters({
      table: system.table,
      endpoint: system.dynamoDbUrl,
      region: "us-east-1",
      credentials: { accessKeyId: "local", secretAccessKey: "local" },
    });
  }

  /** The API has taken one more job of the lane. */
  accepted(lane: string): void {
    this.#accepted.set(lane, (this.#accepted.get(lane) ?? 0) + 1);
  }

  /** Draws the state. Resolves to whether nothing waits, runs or is on its way to the dead letters. */
  async show(elapsedMs: number): Promise<boolean> {
    const snapshot = await this.#look(elapsedMs);
    if (this.#frozen) return false;
    if (process.stderr.isTTY) {
      this.#drawn = snapshot;
      this.#screen(render(snapshot));
    } else if (elapsedMs - this.#toldAt >= LINE_EVERY_MS) {
      this.#toldAt = elapsedMs;
      tell(renderLine(snapshot));
    }
    return isIdle(snapshot.lanes);
  }

  /** Every call the simulator has seen. */
  async calls(): Promise<Evidence["calls"]> {
    await this.#evidence.refresh();
    return this.#evidence.calls;
  }

  /** Leaves what is drawn as it is, but for the addresses of a system that ends now, and draws no more. */
  freeze(goesOn: boolean): void {
    if (!this.#frozen && !goesOn && this.#drawn !== undefined) {
      const { urls: _, ...rest } = this.#drawn;
      this.#screen(render(rest));
    }
    this.#frozen = true;
    this.#screen.done();
  }

  /** @param goesOn the system is there to be looked at. */
  async close(goesOn: boolean): Promise<void> {
    this.freeze(goesOn);
    this.#deadLetters.close();
    await this.#lanes.close();
  }

  async #look(elapsedMs: number): Promise<Snapshot> {
    const { workers, apiUrl, boardUrl } = this.#system;
    const { tokensPerMinute } = this.#workload;
    // Before the lanes: what is accepted during the look may not be in the picture.
    const accepted = new Map(this.#accepted);
    const [lanes, dead] = await Promise.all([this.#lanes.read(), this.#countDead()]);
    // After them: a lane is empty when its last call has ended, so the last picture has all of them.
    const now = Date.now();
    const calls = await this.calls();
    const until = isIdle(lanes) ? Infinity : settledUntil(calls, now);
    return {
      elapsedMs,
      lanes: lanes.map((lane) => ({
        ...lane,
        jobs: this.#jobs.get(lane.lane) ?? 0,
        accepted: accepted.get(lane.lane) ?? 0,
      })),
      workers: { running: workers.filter(({ running }) => running).length, started: workers.length },
      quota: { used: quotaUtilisation(calls, tokensPerMinute, until), tokensPerMinute },
      calls: calls.length,
      throttled: calls.filter(({ outcome }) => outcome === "throttled").length,
      dead,
      urls: { api: apiUrl, board: boardUrl },
    };
  }

  async #countDead(): Promise<number> {
    const counts = await Promise.all(
      [...this.#jobs.keys()].map(async (lane) =>
        this.#deadLetters.count({ state: "dead", by: { lane: { pool: POOL, lane } } }),
      ),
    );
    return counts.reduce((sum, count) => sum + count, 0);
  }
}

/** Whether nothing waits, runs or is on its way to the dead letters. */
function isIdle(lanes: readonly LaneState[]): boolean {
  return lanes.every(({ waiting, active, failed }) => waiting + active + failed === 0);
}

/** A Redis of the user's is taken only if it is on this machine, or by their word: a demo writes to it. */
function givenRedis(url: string | undefined, taken: boolean): string | undefined {
  if (url === undefined || url === "") return undefined;
  if (!URL.canParse(url))
    throw new Error(`Expected REDIS_URL to be a URL such as redis://127.0.0.1:6379, got '${scrubUrl(url)}'`);
  const { hostname } = new URL(url);
  if (taken || ["127.0.0.1", "[::1]", "localhost"].includes(hostname)) return url;
  tell(
    `REDIS_URL names ${hostname}, which is not this machine: starting a Redis of our own. --redis takes it`,
  );
  return undefined;
}

/** Rejects when the promise does, and never resolves. */
async function rejection(promise: Promise<unknown>): Promise<never> {
  await promise;
  return new Promise<never>(() => {});
}
