/** One installation as a trial has it: programs with files of their own, jobs, and what became of them. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { createDynamoDbStore, type DynamoDbStore } from "@sluice/dead-letter";
import { newJobId, type JobData, type Outcome } from "@sluice/job";
import { encodePayload } from "@sluice/job/payload";
import { connect, keySpace, type KeySpace } from "@sluice/redis";
import type { Services } from "@sluice/services";
import type { Redis } from "ioredis";
import { PROGRAMS, runToEnd } from "../programs.ts";
import { forgetMachineOf } from "../clocks/machine.ts";
import { readCalls, type SeenCall } from "../evidence.ts";
import { startInstallation, type Installation } from "../installation.ts";
import type { PoolsFile } from "../pools-file.ts";
import type { LogLine, Started } from "../process.ts";
import { eachOf } from "../records.ts";
import { Fell } from "../trials/trial.ts";
import { LANE, POOL, poolsFile, SCOPE } from "./pools.ts";

export interface FleetOptions {
  /** The widest of its files: it names every pool and lane that any of them has. Default: all pools. */
  readonly pools?: PoolsFile;
  /** Default: the Redis that the site shares. */
  readonly redisUrl?: string;
  /**
   * As in `InstallationOptions`. With the short ones a program that a busy machine holds up for a second counts as dead: for
   * trials in which time matters it is `shipped`. Default `short`.
   */
  readonly locks?: "short" | "shipped";
}

export type Env = Readonly<Record<string, string>>;

/** A job as a trial adds it straight to its lane. */
export interface Added {
  readonly pool?: string;
  readonly lane?: string;
  readonly text?: string;
  readonly delayMs?: number;
  /** From the time it may start. Default two minutes. */
  readonly deadlineMs?: number;
}

/** For what a busy machine does within seconds. */
export const PATIENTLY_MS = 40_000;
const LOOK_EVERY_MS = 100;

export class Fleet implements AsyncDisposable {
  readonly installation: Installation;
  readonly redis: Redis;
  readonly letters: DynamoDbStore;
  readonly space: KeySpace;
  readonly #services: Services;
  readonly #folder: string;
  readonly #programs: Started[] = [];

  private constructor(installation: Installation, services: Services, folder: string, redisUrl: string) {
    const { env } = installation;
    this.installation = installation;
    this.#services = services;
    this.#folder = folder;
    this.redis = connect(redisUrl, "worker", () => {});
    this.space = keySpace(env["SLUICE_NAMESPACE"] ?? "", SCOPE);
    this.letters = createDynamoDbStore({
      tableName: env["SLUICE_DEAD_LETTER_TABLE"] ?? "",
      endpoint: services.dynamoDbUrl,
      region: "us-east-1",
      credentials: { accessKeyId: "local", secretAccessKey: "local" },
    });
  }

  static async open(
    services: Services,
    folder: string,
    { pools = poolsFile(), redisUrl = services.redisUrl, locks = "short" }: FleetOptions,
  ): Promise<Fleet> {
    const installation = await startInstallation({ ...services, pools, folder, redisUrl, locks });
    return new Fleet(installation, services, folder, redisUrl);
  }

  /** Starts a worker that is ready. @throws Error with what it said when it ends before. */
  async worker(env: Env = {}, program?: URL): Promise<Started> {
    return this.#keep(await this.installation.startWorker(env, program));
  }

  /** Starts a program that listens. @throws Error with what it said when it ends before. */
  async listener(name: "api" | "board", env: Env = {}, program: URL = PROGRAMS[name]): Promise<Listener> {
    const started = await this.program(program, { PORT: "0", ...env });
    if (started.url === undefined) throw new Error(`The ${name} ended before it was ready:\n${started.text}`);
    return { url: started.url, process: started };
  }

  /** Starts any program, and waits until it is ready or has ended. */
  async program(program: URL, env: Env = {}): Promise<Started> {
    return this.#keep(await this.installation.start(program, env));
  }

  /** Runs `sluice` to its end. Resolves to all that it printed. */
  async cli(args: readonly string[], env: Env = {}): Promise<string> {
    return (await runToEnd(PROGRAMS.cli, args, { ...this.installation.env, ...env })).text;
  }

  /** Writes another pools file. Resolves to the environment of a program that has it. */
  async file(pools: PoolsFile): Promise<Env> {
    const path = join(this.#folder, `${crypto.randomUUID()}.json`);
    await writeFile(path, JSON.stringify(pools));
    return { SLUICE_POOLS: path };
  }

  /** Adds jobs to their lanes as an API would. Resolves to their ids. */
  async add(jobs: readonly Added[]): Promise<string[]> {
    return eachOf(jobs, async (added) => {
      const { pool = POOL, lane = LANE, text = "", delayMs = 0, deadlineMs = 120_000 } = added;
      const now = Date.now();
      const id = newJobId(pool, lane, now);
      const request = { messages: [{ role: "user", content: [{ text: `${text} ${id}` }] }], maxTokens: 20 };
      const job: JobData = {
        ...({ version: 1, id, tenant: "default", pool, lane, kind: "converse" } as const),
        payload: await encodePayload(request),
        acceptedAt: now,
        deadlineAt: now + delayMs + deadlineMs,
        maxAttempts: 5,
      };
      await this.installation.records.lane(pool, lane).add(job, delayMs);
      return id;
    });
  }

  /** How the jobs ended, in the order of `ids`; `waiting` for one that has not. */
  async ends(ids: readonly string[]): Promise<(Outcome["outcome"] | "waiting")[]> {
    const { records } = this.installation;
    return eachOf(ids, async (id) => (await records.outcome(id))?.outcome ?? "waiting");
  }

  /** Waits until all have ended so. Resolves to how long that took, milliseconds. @throws Fell when they have not. */
  async untilAll(end: Outcome["outcome"], ids: readonly string[], withinMs = PATIENTLY_MS): Promise<number> {
    const from = performance.now();
    const look = async (): Promise<Readonly<Record<string, number>>> => counted(await this.ends(ids));
    await until(`all of ${ids.length} jobs are ${end}`, look, (ends) => ends[end] === ids.length, withinMs);
    return Math.round(performance.now() - from);
  }

  /** The calls of these jobs that the simulator has seen the end of, by job. */
  async calls(ids: readonly string[]): Promise<ReadonlyMap<string, readonly SeenCall[]>> {
    const all = await readCalls(this.#services.simulatorUrl);
    return new Map(ids.map((id) => [id, all.get(id) ?? []]));
  }

  /** The key of the hash in which Redis keeps a job. */
  readonly jobKey = (id: string): string => `${this.space}:${id.slice(0, id.lastIndexOf("."))}:${id}`;

  async [Symbol.asyncDispose](): Promise<void> {
    await this.installation[Symbol.asyncDispose]();
    for (const { pid } of this.#programs) await forgetMachineOf(pid);
    this.redis.disconnect();
    this.letters.close();
  }

  #keep(program: Started): Started {
    this.#programs.push(program);
    return program;
  }
}

export interface Listener {
  readonly url: string;
  readonly process: Started;
}

/** How often each word comes. */
export function counted(words: readonly string[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const word of words) counts[word] = (counts[word] ?? 0) + 1;
  return counts;
}

/** Looks again and again until it is so. @throws Fell with what was seen last. */
export async function until<Seen>(
  what: string,
  look: () => Promise<Seen> | Seen,
  isSo: (seen: Seen) => boolean,
  withinMs: number = PATIENTLY_MS,
): Promise<Seen> {
  const end = performance.now() + withinMs;
  for (;;) {
    const seen = await look();
    if (isSo(seen)) return seen;
    if (performance.now() > end) {
      throw new Fell(`Not within ${withinMs} ms: ${what}. Seen last: ${JSON.stringify(seen)?.slice(0, 600)}`);
    }
    await sleep(LOOK_EVERY_MS);
  }
}

/** Waits for a line of a program's log. @throws Fell when it does not come. */
export async function hears(
  program: Started,
  msg: string,
  fields: Readonly<Record<string, unknown>> = {},
  withinMs: number = PATIENTLY_MS,
): Promise<LogLine> {
  const what = `${msg} ${JSON.stringify(fields)}`;
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Fell(`Not told within ${withinMs} ms: ${what}`)), withinMs);
  return Promise.race([program.logged(what, isLine(msg, fields)), late.promise]).finally(() =>
    clearTimeout(timer),
  );
}

/** The lines of a program's log that have these fields, so far. */
export function told(
  program: Started,
  msg: string,
  fields: Readonly<Record<string, unknown>> = {},
): readonly LogLine[] {
  return program.lines.filter(isLine(msg, fields));
}

function isLine(msg: string, fields: Readonly<Record<string, unknown>>) {
  return (line: LogLine): boolean =>
    line.msg === msg && Object.entries(fields).every(([name, value]) => line[name] === value);
}
