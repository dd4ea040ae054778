/** A Sluice on the Redis of one trial: real programs, and what callers, operators and the simulator say of it. */
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { createDynamoDbStore, type DynamoDbStore } from "@sluice/dead-letter";
import { startSimulator } from "@sluice/services";
import { z } from "zod";
import { check, type Expected, type Report } from "../check.ts";
import { readCalls, type SeenCall } from "../evidence.ts";
import { startInstallation, type Installation } from "../installation.ts";
import { startProcess, type Started } from "../process.ts";
import { eachOf } from "../records.ts";
import { PROGRAMS, runToEnd, type Ran } from "../programs.ts";
import { Fell, must } from "../trials/trial.ts";
import type { Ground } from "./ground.ts";

export const POOL = "lab";
/** A pool beside it, of another model that answers alike. */
export const OTHER_POOL = "other";
export const LANES = ["critical", "standard", "bulk"] as const;
const modelOf = (pool: string): string => `${pool}.model`;

export interface FleetOptions {
  readonly redisUrl: string;
  /** How long each call takes, milliseconds. Default 50. */
  readonly callMs?: number;
  /** Calls of a worker at a time. Default 16. */
  readonly slots?: number;
  /** How long answers are, tokens of four characters. Default 20. */
  readonly answerTokens?: number;
}

/** A job as a caller sends it; lane `standard` unless it says another. */
export type Job = Readonly<Record<string, unknown>>;

const replySchema = z.object({
  id: z.string().optional(),
  error: z.object({ code: z.string(), message: z.string() }).optional(),
});

/** What a caller was answered. */
export interface Reply {
  /** 0 when the connection broke, or nothing came in time. */
  readonly status: number;
  readonly id: string | undefined;
  readonly code: string | undefined;
  readonly message: string | undefined;
  readonly retryAfterS: number | undefined;
}

export interface Listening {
  readonly url: string;
  readonly process: Started;
}

/** Tokens. */
const LONGEST_ANSWER = 64_000;

const POST_MS = 120_000;
const UNTIL_MS = 90_000;

export class Fleet implements AsyncDisposable {
  readonly installation: Installation;
  readonly simulatorUrl: string;
  readonly letters: DynamoDbStore;
  readonly #stack: AsyncDisposableStack;

  private constructor(installation: Installation, simulatorUrl: string, stack: AsyncDisposableStack) {
    this.installation = installation;
    this.simulatorUrl = simulatorUrl;
    this.#stack = stack;
    this.letters = createDynamoDbStore({
      tableName: installation.env["SLUICE_DEAD_LETTER_TABLE"] ?? "",
      endpoint: installation.env["AWS_ENDPOINT_URL_DYNAMODB"] ?? "",
      region: "us-east-1",
      credentials: { accessKeyId: "local", secretAccessKey: "local" },
    });
    stack.defer(() => this.letters.close());
  }

  static async start(ground: Ground, options: FleetOptions): Promise<Fleet> {
    const { redisUrl, callMs = 50, slots = 16, answerTokens = 20 } = options;
    await using stack = new AsyncDisposableStack();
    const folder = ground.newFolder();
    const latency = { timeToFirstTokenMs: callMs, tokensPerSecond: 1e9, sigma: 0 };
    const answer = { medianTokens: answerTokens, sigma: 0 };
    const model = {
      tokensPerMinute: 1e10,
      burndown: 1,
      maxOutputTokens: LONGEST_ANSWER,
      contextTokens: 400_000,
      latency,
      answer,
    };
    const simulator = stack.use(await startSimulator({ dataDir: folder, models: { "*": model } }));
    const poolOf = (name: string) => ({
      scope: "main",
      model: modelOf(name),
      lanes: [...LANES],
      burndown: 1,
      slots,
      quota: { tokensPerMinute: 1_000_000_000 },
      callTimeout: "60s",
      deadline: "5m",
      maxOutputTokens: LONGEST_ANSWER,
    });
    const pools = Object.fromEntries([POOL, OTHER_POOL].map((name) => [name, poolOf(name)]));
    const installation = stack.use(
      await startInstallation({
        pools: { scopes: { main: { region: "us-east-1" } }, pools },
        redisUrl,
        dynamoDbUrl: ground.dynamoDbUrl,
        simulatorUrl: simulator.url,
        folder,
        // As they ship: here no worker is killed, and a busy machine shall not look like one that was.
        locks: "shipped",
      }),
    );
    return new Fleet(installation, simulator.url, stack.move());
  }

  async start(program: "api" | "board"): Promise<Listening> {
    const process = await startProcess(PROGRAMS[program], { ...this.installation.env, PORT: "0" });
    this.#stack.defer(async () => {
      process.kill("SIGKILL");
      await process.exit;
    });
    if (process.url === undefined) throw new Error(`The ${program} did not come up:\n${process.text}`);
    return { url: process.url, process };
  }

  /** Runs a program that shall end by itself. */
  async run(
    program: keyof typeof PROGRAMS,
    args: readonly string[] = [],
    env: Readonly<Record<string, string>> = {},
  ): Promise<Ran> {
    return runToEnd(PROGRAMS[program], args, { ...this.installation.env, PORT: "0", ...env });
  }

  /** How often each job was answered, the calls of its replays included. */
  async answered(ids: readonly string[]): Promise<number[]> {
    const calls = await readCalls(this.simulatorUrl);
    const answers = new Map<string, number>();
    for (const [id, seen] of calls) {
      const job = id.replace(/\.r\d+$/, "");
      answers.set(job, (answers.get(job) ?? 0) + seen.filter(isAnswer).length);
    }
    return ids.map((id) => answers.get(id) ?? 0);
  }

  /** Waits until every job has ended and no lane holds any. @throws Fell when that takes longer. */
  async untilEnded(ids: readonly string[], withinMs: number = UNTIL_MS): Promise<void> {
    const { records } = this.installation;
    let left = "";
    const isOver = async (): Promise<boolean> => {
      const counts = await records.counts();
      left = JSON.stringify(counts);
      if (Object.values(counts).some((count) => count > 0)) return false;
      const ended = await records.countEnded(ids);
      left = `${ids.length - ended} of ${ids.length} jobs without an end`;
      return ended === ids.length;
    };
    await until(`${ids.length} jobs have ended`, isOver, {
      withinMs,
      everyMs: 250,
      found: () => left,
    });
  }

  /**
   * Holds our account against the simulator's: none lost, every end what the calls say, every letter as its job.
   * @throws Fell with the first differences.
   */
  async mustAgree(ids: readonly string[], expected: Expected = {}): Promise<Report> {
    const [found, calls] = await Promise.all([
      this.installation.records.findAll(ids),
      readCalls(this.simulatorUrl),
    ]);
    const known = new Set(ids);
    const strays = [...calls.keys()].filter((id) => !known.has(id)).length;
    const report = check(
      ids.map((id, index) => {
        const each = found[index];
        if (each === undefined) throw new Error("Expected something for each id");
        return { id, found: each, calls: calls.get(id) ?? [], expected };
      }),
      strays,
    );
    must(
      report.lost === 0 && report.disagreements === 0,
      `${report.lost} lost, ${report.disagreements} disagree: ${report.problems.slice(0, 3).join("; ")}`,
    );
    return report;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

function isAnswer({ outcome }: SeenCall): boolean {
  return outcome === "completed" || outcome === "filtered";
}

/** A prompt that does not get shorter when it is packed. @param bytes of the whole. */
export function prompt(bytes: number): string {
  return randomBytes(Math.ceil((bytes * 3) / 4)).toString("base64");
}

/** Posts one job. Never rejects. */
export async function post({ url }: Listening, job: Job): Promise<Reply> {
  try {
    const response = await fetch(`${url}/v1/jobs`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ pool: POOL, lane: "standard", maxTokens: 50, ...job }),
      signal: AbortSignal.timeout(POST_MS),
    });
    const { id, error } = replySchema.parse(await response.json());
    const after = response.headers.get("retry-after");
    const retryAfterS = after === null ? undefined : Number(after);
    return { status: response.status, id, code: error?.code, message: error?.message, retryAfterS };
  } catch (error) {
    const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
    return { status: 0, id: undefined, code: String(cause), message: undefined, retryAfterS: undefined };
  }
}

/** All that callers got accepted, and how often they were sent away before. */
export interface Submitted {
  readonly ids: readonly string[];
  readonly refusals: number;
}

/**
 * Posts the jobs, 32 at a time, as callers do that are patient: whoever is refused comes back when he was told to.
 * @throws Fell when one is refused otherwise than by 503 with Retry-After.
 */
export async function submit(api: Listening, jobs: readonly Job[]): Promise<Submitted> {
  let refusals = 0;
  const ids = await eachOf(jobs, async (job) => {
    const keyed = { idempotencyKey: randomBytes(12).toString("hex"), ...job };
    for (;;) {
      const reply = await post(api, keyed);
      if (reply.id !== undefined) return reply.id;
      mustBeRefusal(reply);
      refusals += 1;
      await sleep((reply.retryAfterS ?? 0) * 1_000);
    }
  });
  return { ids, refusals };
}

/** @throws Fell unless a caller was told that and when to come back. */
export function mustBeRefusal({ status, code, retryAfterS }: Reply): void {
  must(
    status === 503 && retryAfterS !== undefined && retryAfterS > 0,
    `answered ${status} (${code}) with Retry-After ${retryAfterS}, expected 503 and seconds`,
  );
}

/** A caller who posts a short job every so often, whatever the answers, until he is stopped. */
export class Stream implements AsyncDisposable {
  /** What was answered, in the order of the answers; `at` is when, by `performance.now()`. */
  readonly replies: (Reply & { readonly at: number })[] = [];
  readonly #posts: Promise<void>[] = [];
  readonly #timer: NodeJS.Timeout;

  constructor(api: Listening, everyMs: number) {
    let count = 0;
    this.#timer = setInterval(() => {
      count += 1;
      const job = { prompt: `Job ${count}`, lane: LANES[count % LANES.length] };
      this.#posts.push(this.#post(api, job));
    }, everyMs);
  }

  async #post(api: Listening, job: Job): Promise<void> {
    const reply = await post(api, job);
    this.replies.push({ ...reply, at: performance.now() });
  }

  get accepted(): string[] {
    return this.replies.flatMap(({ id }) => (id === undefined ? [] : [id]));
  }

  /** Resolves when everything that was sent has been answered. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#posts);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

const readySchema = z.object({ error: z.object({ message: z.string() }).optional() });

/** What `/readyz` says. */
export async function readiness({ url }: Listening): Promise<{ status: number; message: string }> {
  const response = await fetch(`${url}/readyz`);
  const { error } = readySchema.parse(await response.json());
  return { status: response.status, message: error?.message ?? "" };
}

/** Resolves to how long it took, milliseconds. @throws Fell when it takes longer. */
export async function until(
  what: string,
  test: () => Promise<boolean>,
  {
    withinMs,
    everyMs = 50,
    found = () => "it did not",
  }: { readonly withinMs: number; readonly everyMs?: number; readonly found?: () => string },
): Promise<number> {
  const from = performance.now();
  while (!(await test())) {
    if (performance.now() - from > withinMs) {
      throw new Fell(`Expected that ${what} within ${withinMs} ms: ${found()}`);
    }
    await sleep(everyMs);
  }
  return Math.round(performance.now() - from);
}

/** Waits until `/readyz` answers so. */
export async function untilReadiness(program: Listening, status: number, withinMs: number): Promise<string> {
  let message = "";
  await until(
    `/readyz is ${status}`,
    async () => {
      const now = await readiness(program);
      ({ message } = now);
      return now.status === status;
    },
    { withinMs, found: () => message },
  );
  return message;
}

/** Waits until a post is accepted. Resolves to its id and the milliseconds that took. */
export async function untilAccepted(
  api: Listening,
  withinMs: number,
): Promise<{ readonly id: string; readonly tookMs: number }> {
  let last: Reply | undefined;
  const tookMs = await until(
    "a post is accepted",
    async () => {
      last = await post(api, { prompt: "Is there room?" });
      return last.id !== undefined;
    },
    { withinMs, found: () => `the last was answered ${last?.status} (${last?.code}: ${last?.message})` },
  );
  return { id: last?.id ?? "", tookMs };
}
