/**
 * What is attacked: every program that listens, as a process of its own, over a Redis that nobody else uses. A program
 * starts when the first attack asks for it.
 */
import { randomBytes, scryptSync } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { createDynamoDbStore, type DynamoDbStore } from "@sluice/dead-letter";
import { connect } from "@sluice/redis";
import { startServices, type Services } from "@sluice/services";
import type { Redis } from "ioredis";
import type { RunOptions } from "../command.ts";
import { startInstallation, type Installation } from "../installation.ts";
import { startProcess, type Started } from "../process.ts";
import { ask, basic } from "./http.ts";
import { newJob, type Dead } from "./jobs.ts";
import { LANE, MODEL, POOL, poolsFile } from "./pools.ts";
import { PROGRAMS, runBriefly, runToEnd, type Ran } from "../programs.ts";

export type BoardMode = "local" | "open" | "basic" | "proxy";
export type Role = "viewer" | "operator" | "admin";

export interface Running {
  readonly url: string;
  readonly process: Started;
}

/** scrypt's N: what it costs to look at a password of a user. Names that are none cost what ships. */
export const CHEAP: number = 2 ** 13;
export const SHIPPED: number = 2 ** 17;

const FOUND_MS = 15_000;

export class Site implements AsyncDisposable {
  readonly services: Services;
  readonly installation: Installation;
  /** A connection of an administrator. */
  readonly redis: Redis;
  readonly letters: DynamoDbStore;
  readonly #stack: AsyncDisposableStack;
  readonly #running = new Map<string, Promise<Running>>();
  readonly #texts: (() => string)[] = [];
  readonly #canaries = new Map<string, string>();
  /** What a proxy has to send. */
  readonly proxySecret: string;
  readonly #password: string;
  #fleet:
    | Promise<{ readonly installation: Installation; readonly api: string; readonly worker: Started }>
    | undefined;

  private constructor(services: Services, installation: Installation, stack: AsyncDisposableStack) {
    this.services = services;
    this.installation = installation;
    this.#stack = stack;
    this.redis = connect(services.redisUrl, "worker", () => {});
    this.letters = createDynamoDbStore({
      tableName: installation.env["SLUICE_DEAD_LETTER_TABLE"] ?? "",
      endpoint: services.dynamoDbUrl,
      region: "us-east-1",
      credentials: { accessKeyId: "local", secretAccessKey: "local" },
    });
    this.proxySecret = this.canary("proxy-secret");
    this.#password = this.canary("password");
  }

  static async open({ dataDir, dynamoDbUrl, onProgress }: RunOptions): Promise<Site> {
    await using stack = new AsyncDisposableStack();
    // Attacks fill and reconfigure Redis, so a given one is left alone.
    const models = { [MODEL]: { tokensPerMinute: 1e9, burndown: 1, answer: { medianTokens: 20 } } };
    const services = stack.use(
      await startServices({
        dataDir,
        dynamoDbUrl,
        onProgress,
        simulator: { models, args: ["--time-scale", "0"] },
      }),
    );
    const installation = stack.use(
      await startInstallation({ pools: poolsFile(), folder: services.runFolder, ...services }),
    );
    return new Site(services, installation, stack.move());
  }

  /** A text that must come out nowhere. The same name is the same text. */
  canary(name: string): string {
    const known = this.#canaries.get(name) ?? `canary-${name}-${randomBytes(6).toString("hex")}`;
    this.#canaries.set(name, known);
    return known;
  }

  get canaries(): ReadonlyMap<string, string> {
    return this.#canaries;
  }

  /** All that any program has printed. */
  get printed(): readonly string[] {
    return this.#texts.map((text) => text());
  }

  async api(): Promise<Running> {
    return this.#once("api", async () => this.start("api", { SLUICE_MAX_STREAMS_PER_ADDRESS: "150" }));
  }

  async board(mode: BoardMode): Promise<Running> {
    return this.#once(`board ${mode}`, async () => this.start("board", this.#accessOf(mode)));
  }

  /** A board with passwords that nobody has asked yet. @param cost of a check. Default: cheaper than it ships. */
  async freshBoard(cost?: number): Promise<Running> {
    return this.start("board", this.#accessOf("basic", cost));
  }

  /** The header by which a user of the board with passwords is known. */
  login(role: Role): string {
    return basic(role, this.#password);
  }

  /** What the proxy before the board says of a user. */
  proxied(user: string, groups: string): Record<string, string> {
    return {
      "x-sluice-proxy-secret": this.proxySecret,
      "x-forwarded-user": user,
      "x-forwarded-groups": groups,
    };
  }

  /** Starts a program that listens, with the usual environment. @throws Error when it does not come up. */
  async start(
    program: "api" | "board",
    env: Readonly<Record<string, string>> = {},
    nodeArgs: readonly string[] = [],
  ): Promise<Running> {
    const started = await this.#startProcess(
      PROGRAMS[program],
      { ...this.installation.env, PORT: "0", ...env },
      nodeArgs,
    );
    if (started.url === undefined)
      throw new Error(`The ${program} ended before it was ready:\n${started.text}`);
    return { url: started.url, process: started };
  }

  async #startProcess(
    file: URL,
    env: Readonly<Record<string, string>>,
    nodeArgs: readonly string[] = [],
  ): Promise<Started> {
    const started = await startProcess(file, env, nodeArgs);
    this.#texts.push(() => started.text);
    this.#stack.defer(async () => {
      started.kill("SIGKILL");
      await started.exit;
    });
    return started;
  }

  /** An installation whose jobs run: those of the other one wait. */
  async fleet(): Promise<{
    readonly installation: Installation;
    readonly api: string;
    readonly worker: Started;
  }> {
    this.#fleet ??= (async () => {
      const { runFolder } = this.services;
      const installation = this.#stack.use(
        await startInstallation({ pools: poolsFile(), folder: runFolder, ...this.services }),
      );
      const env = { ...installation.env, LOG_LEVEL: "trace" };
      const [api, worker] = await Promise.all([
        this.#startProcess(PROGRAMS.api, { ...env, PORT: "0" }),
        this.#startProcess(PROGRAMS.worker, env),
      ]);
      if (api.url === undefined || !worker.running)
        throw new Error(`The fleet did not start:\n${api.text}${worker.text}`);
      return { installation, api: api.url, worker };
    })();
    return this.#fleet;
  }

  /** Runs `sluice` to its end. */
  async cli(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ran> {
    return this.run(PROGRAMS.cli, args, { ...this.installation.env, ...env });
  }

  /** Runs a program until it ends, or for half a minute. */
  async run(file: URL, args: readonly string[], env: Readonly<Record<string, string>>): Promise<Ran> {
    const ran = await runToEnd(file, args, env);
    this.#texts.push(() => ran.text);
    return ran;
  }

  /** Starts a program with an environment that is wrong somewhere, gives it a moment to say so, and ends it. */
  async briefly(file: URL, env: Readonly<Record<string, string>>): Promise<string> {
    const text = await runBriefly(file, { ...this.installation.env, PORT: "0", ...env });
    this.#texts.push(() => text);
    return text;
  }

  /** Waits until the board has found the class of a letter: it looks for new ones every few seconds. */
  async untilListed(base: string, errorClass: string, id: string): Promise<void> {
    const path = `/api/queues/dead-letter.${errorClass}/${id}`;
    await this.untilFound(base, path, { authorization: this.login("admin") });
  }

  /** Asks until the answer is 200. @throws Error after a quarter of a minute. */
  async untilFound(
    base: string,
    path: string,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    const until = performance.now() + FOUND_MS;
    for (;;) {
      const { status, text } = await ask(base, path, { headers });
      if (status === 200) return;
      if (performance.now() > until) throw new Error(`${path} is answered ${status}: ${text.slice(0, 200)}`);
      await sleep(100);
    }
  }

  /** Puts a job into its lane, as an API would. */
  async waits(text: string, lane: string = LANE): Promise<string> {
    const job = await newJob({
      lane,
      request: { messages: [{ role: "user", content: [{ text }] }], maxTokens: 10 },
    });
    await this.installation.records.lane(POOL, lane).add(job);
    return job.id;
  }

  /** A letter of a job that has died. Resolves to its id. */
  async dead({
    errorClass = "ValidationException",
    message = "Too long",
    ...about
  }: Dead = {}): Promise<string> {
    const data = await newJob(about);
    const failure = { kind: "terminal", errorClass, message, status: 400 } as const;
    await this.letters.put({ data, failure, attempts: 3, stalls: 0, diedAt: Date.now() - 60_000 });
    return data.id;
  }

  async revision(id: string): Promise<string> {
    return (await this.letters.get(id))?.revision ?? "";
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.redis.disconnect();
    this.letters.close();
    await this.#stack.disposeAsync();
  }

  #hash(cost: number): string {
    const salt = randomBytes(16);
    const key = scryptSync(this.#password, salt, 32, { N: cost, r: 8, p: 1, maxmem: 2 ** 28 });
    return `scrypt:${cost}:8:1:${salt.toString("hex")}:${key.toString("hex")}`;
  }

  #accessOf(mode: BoardMode, cost = CHEAP): Readonly<Record<string, string>> {
    switch (mode) {
      case "local":
        return { SLUICE_REPLAYS_PER_LANE: "100" };
      case "open":
        // To the board it is an address like any other; it is of this machine alone all the same.
        return { HOST: "127.0.0.2", SLUICE_ALLOW_UNAUTHENTICATED: "true" };
      case "basic":
        return {
          SLUICE_BOARD_USERS: ["viewer", "operator", "admin"]
            .map((role) => `${role}:${role}:${this.#hash(cost)}`)
            .join(" "),
        };
      case "proxy":
        return {
          SLUICE_BOARD_PROXY_PEERS: "127.0.0.1",
          SLUICE_BOARD_PROXY_SECRET: this.proxySecret,
          SLUICE_BOARD_PROXY_GROUPS: "ops=operator root=admin *=viewer",
        };
    }
  }

  async #once(name: string, start: () => Promise<Running>): Promise<Running> {
    const running = this.#running.get(name) ?? start();
    this.#running.set(name, running);
    return running;
  }
}
