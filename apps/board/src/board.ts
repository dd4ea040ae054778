/** The board process, wired: Bull Board over lanes and dead letters, the pages of dead letters, and who may use them. */
import type { Server } from "node:http";
import { createBullBoard } from "@bull-board/api";
import { ExpressAdapter } from "@bull-board/express";
import type { Pool, Pools } from "@sluice/config";
import type { DynamoDbStore } from "@sluice/dead-letter";
import { createFind, Replayer, type JobView, type ReadingPool, type ReplayPool } from "@sluice/drain";
import { emitter, queueName, type Clock, type Listener } from "@sluice/job";
import { closeServer, hostCheck, httpServer, listen, Standing } from "@sluice/process";
import { EVENTS_KEPT, LaneQueue, POLLS_LANE } from "@sluice/queue";
import { connect, keySpace, RedisClock, timeSource } from "@sluice/redis";
import { Lineage, OutcomeStore } from "@sluice/results";
import { Queue } from "bullmq";
import express, { type Express, type RequestHandler } from "express";
import { audited, type Audit } from "./access/audit.ts";
import { jsonOfWrites } from "./access/body.ts";
import { answersTo, failed, noStore, notFound, writersOnly } from "./access/edge.ts";
import { FailedLogins } from "./access/failed-logins.ts";
import { authenticated, sameOrigin, securityHeaders } from "./access/guard.ts";
import { createIdentify } from "./access/identify.ts";
import type { AccessSettings } from "./access/settings.ts";
import { currentUser, may } from "./access/user.ts";
import { LaneAdapter } from "./lanes/lane-adapter.ts";
import { strayLanes, type StrayLane } from "./lanes/stray-lanes.ts";
import { PoolWatches } from "./lanes/pool-watches.ts";
import { ClassWatch } from "./letters/class-watch.ts";
import { LetterAdapter } from "./letters/letter-adapter.ts";
import { LetterView } from "./letters/letter-view.ts";
import { retryAll } from "./letters/retry-all.ts";
import { runEntry, Runs } from "./letters/runs.ts";
import { PAGE, POOLS } from "./pages/layout.ts";
import { poolPages, withStrip } from "./pages/pools.ts";
import { pages } from "./pages/router.ts";
import { wording } from "./pages/wording.ts";
import { beforeHandler, boundedPages } from "./policy.ts";
import { Turns } from "./turns.ts";

export interface BoardSettings {
  readonly pools: Pools;
  readonly namespace: string;
  readonly redisUrl: string;
  /** Its owner closes it. */
  readonly deadLetters: DynamoDbStore;
  /** The name of its table, for those who have to make it. */
  readonly deadLetterTable: string;
  readonly access: AccessSettings;
  /** Replays that a lane holds at most. */
  readonly replaysPerLane: number;
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  /** Names of this program in `Host` headers, beside loopback and its address, while nobody is asked who he is. */
  readonly allowedHosts?: readonly string[];
  /** Connections open at once. Default 4,000. */
  readonly maxConnections?: number;
  /** Checks every answer of Bull Board against its own schemas. For tests: it costs time. Default false. */
  readonly validateResponses?: boolean;
  /** How often new error classes are looked for, milliseconds. Default 5,000. */
  readonly classesEveryMs?: number;
  readonly audit: Audit;
  readonly onError: (error: unknown) => void;
  /** Hears what the board notices of Redis and of its table. Default: nobody. */
  readonly listener?: Listener;
  /** Hears why the process cannot go on with this Redis. Default: nobody. */
  readonly onUnfit?: (sentence: string) => void;
}

/** Pages of lanes that are read at once, and that wait: the fleet works with the same Redis. */
const LANE_PAGES = { atOnce: 2, waiting: 100 };

/** A request of 1 MiB, edited as JSON. */
const JSON_LIMIT = "4mb";

export class Board {
  readonly #settings: BoardSettings;
  readonly #redis;
  readonly #queues: Queue[] = [];
  readonly #laneQueues: LaneQueue[] = [];
  readonly #poolWatches: PoolWatches;
  readonly #view: LetterView;
  readonly #replayer: Replayer;
  readonly #find: (tenant: string, id: string) => Promise<JobView | undefined>;
  readonly #runs: Runs;
  readonly #failures: FailedLogins;
  readonly #laneTurns = new Turns(LANE_PAGES);
  readonly #classes: ClassWatch;
  readonly #strays: ClassWatch;
  /** Lanes that no file of this board names, by scope and queue. */
  readonly #strayLanes = new Map<string, StrayLane>();
  readonly #standing: Standing;
  /** The shared time: for the letters that it reads and writes, too. */
  readonly clock: Clock;
  #server: Server | undefined;

  constructor(settings: BoardSettings) {
    this.#settings = settings;
    const { deadLetters, replaysPerLane, onError } = settings;
    this.#redis = connect(settings.redisUrl, "producer", onError);
    const redisClock = new RedisClock({ source: timeSource(this.#redis, settings.namespace) });
    const clock = redisClock.now;
    this.clock = clock;
    this.#poolWatches = new PoolWatches({ ...settings, redis: this.#redis, clock });
    this.#view = new LetterView(deadLetters, clock);
    const jobs = this.#openPools();
    this.#find = createFind({ pools: jobs, deadLetters });
    this.#replayer = new Replayer({
      letters: deadLetters,
      pools: jobs,
      perLane: replaysPerLane,
      clock,
    });
    this.#runs = new Runs({
      replayer: this.#replayer,
      clock,
      onChange: () => this.#view.changed(),
      onEnd: (run) => settings.audit(runEntry(run)),
    });
    this.#failures = new FailedLogins(settings.audit);
    this.#classes = new ClassWatch({
      classes: async () => deadLetters.classes(),
      onClass: (errorClass) => this.#boards.forEach(({ addClass }) => addClass(errorClass)),
      onError,
      everyMs: settings.classesEveryMs ?? 5_000,
    });
    this.#strays = new ClassWatch({
      classes: async () => this.#findStrays(),
      onClass: (key) => this.#boards.forEach(({ addStray }) => addStray(key)),
      onError,
      everyMs: settings.classesEveryMs ?? 5_000,
    });
    this.#standing = new Standing({
      redis: this.#redis,
      clock: redisClock,
      keySpaces: Object.keys(settings.pools.scopes).map((scope) => keySpace(settings.namespace, scope)),
      needs: [
        { name: `dead letter table '${settings.deadLetterTable}'`, check: async () => deadLetters.check() },
      ],
      emit: emitter(settings.listener === undefined ? [] : [settings.listener]),
      onUnfit: settings.onUnfit,
    });
  }

  readonly #boards: {
    readonly addClass: (errorClass: string) => void;
    readonly addStray: (key: string) => void;
  }[] = [];

  /** Listens. Resolves to the URL. */
  async start(): Promise<string> {
    const { host, port, maxConnections, onError } = this.#settings;
    this.#server = httpServer(this.#app(), { maxConnections, onError });
    this.#classes.start();
    this.#strays.start();
    this.#standing.start();
    return listen(this.#server, host, port);
  }

  /** Replays that are under way stop before their next letter. */
  async stop(): Promise<void> {
    this.#standing.stop();
    if (this.#server !== undefined) await closeServer(this.#server);
    await Promise.all([this.#classes.stop(), this.#strays.stop(), this.#runs.stopAll()]);
    this.#failures.flush();
    await Promise.all([...this.#queues, ...this.#laneQueues].map(async (queue) => queue.close()));
    this.#redis.disconnect();
  }

  #app(): Express {
    const { access, audit, deadLetters, pools: poolsFile, replaysPerLane, onError } = this.#settings;
    const identify = createIdentify(access);
    const looking = this.#board({ writable: false });
    const writing = this.#board({ writable: true });
    const app = express();
    app.disable("x-powered-by");
    app.use(securityHeaders, noStore);
    app.get("/healthz", (_request, response) => {
      response.json({ status: "ok" });
    });
    app.get("/readyz", async (_request, response) => {
      const { ready } = await this.#standing.health();
      // What is wrong is in the log: whoever asks here has not said who he is.
      response.status(ready ? 200 : 503).json({ status: ready ? "ready" : "not-ready" });
    });
    if (access.type === "local" || access.type === "open") {
      app.use(answersTo(hostCheck(this.#settings.host, this.#settings.allowedHosts ?? [])));
    }
    const failures = this.#failures;
    app.use(
      authenticated(identify, { asksForPassword: access.type === "basic", failures }),
      audited(audit),
      sameOrigin,
      writersOnly,
    );
    app.use(
      PAGE,
      pages({
        store: deadLetters,
        pools: poolsFile,
        classes: () => this.#classes.known,
        replayer: this.#replayer,
        runs: this.#runs,
        clock: this.clock,
        find: this.#find,
        perLane: replaysPerLane,
        onChange: () => this.#view.changed(),
        onError,
      }),
    );
    app.get("/static/locales/:language/messages.json", wording);
    app.use(
      POOLS,
      poolPages(async () => this.#poolWatches.now()),
    );
    const retrying = { store: deadLetters, runs: this.#runs, clock: this.clock };
    app.put("/api/queues/:queueName/retry/:queueStatus", retryAll(retrying));
    app.get("/api/queues", boundedPages);
    app.use(...jsonOfWrites(JSON_LIMIT));
    app.use(withStrip, (request, response, next) => {
      (may(currentUser(), "operator") ? writing : looking)(request, response, next);
    });
    app.use(notFound, failed(onError));
    return app;
  }

  /** Bull Board hides its buttons by queue, not by user: viewers get a board of their own. */
  #board({ writable }: { writable: boolean }): RequestHandler {
    const serverAdapter = new ExpressAdapter();
    const { addQueue } = createBullBoard({
      serverAdapter,
      queues: Object.values(this.#settings.pools.pools).flatMap((pool) => this.#laneAdapters(pool)),
      options: {
        handlerHooks: { before: beforeHandler },
        validateResponses: this.#settings.validateResponses ?? false,
        uiConfig: {
          boardTitle: "Sluice",
          overview: { groupByDelimiter: true },
          hideDocsLink: true,
          showMetrics: true,
          // One CLIENT LIST per queue and poll grows with the fleet; the lanes say what matters.
          showWorkers: false,
          miscLinks: [{ text: "Dead letters", url: PAGE }],
        },
      },
    });
    // Its own shows an error as it is, in development with its stack; the one at the end of the app shows its words.
    serverAdapter.setErrorHandler((error) => {
      throw error;
    });
    const { deadLetters: store, pools } = this.#settings;
    const onChange = (): void => this.#view.changed();
    const actions = { store, replayer: this.#replayer, pools, onChange };
    const progress = (errorClass: string): string | undefined => this.#progress(errorClass);
    this.#boards.push({
      // After the lanes: Bull Board asks its first queue about Redis.
      addClass: (errorClass) =>
        addQueue(
          new LetterAdapter({ errorClass, writable, view: this.#view, actions, progress, clock: this.clock }),
        ),
      addStray: (key) => {
        const stray = this.#strayLanes.get(key);
        if (stray === undefined) return;
        const pool = { ...stray.like, name: stray.pool, scope: stray.scope, lanes: [stray.lane] };
        for (const adapter of this.#laneAdapters(pool, true)) addQueue(adapter);
      },
    });
    return serverAdapter.getRouter();
  }

  async #findStrays(): Promise<string[]> {
    const { pools, namespace } = this.#settings;
    const found = await strayLanes(this.#redis, namespace, pools);
    for (const [key, stray] of found) this.#strayLanes.set(key, stray);
    return [...found.keys()];
  }

  #laneAdapters(pool: Pool, isStray = false): LaneAdapter[] {
    const { namespace, onError } = this.#settings;
    return pool.lanes.map((lane) => {
      const queue = new Queue(queueName(pool.name, lane), {
        connection: this.#redis,
        prefix: keySpace(namespace, pool.scope),
        streams: EVENTS_KEPT,
        // Without both, a board that starts while Redis is down stays broken for good.
        skipWaitingForReady: true,
        skipVersionCheck: true,
      });
      queue.on("error", onError);
      this.#queues.push(queue);
      return new LaneAdapter({
        queue,
        pool: this.#poolWatches.of(pool),
        declared: this.#poolWatches.declared(pool),
        redis: this.#redis,
        clock: this.clock,
        turns: this.#laneTurns,
        isStray,
      });
    });
  }

  /** The pools as letters are replayed into them, and as what became of a job is read from them. */
  #openPools(): Map<string, ReplayPool & ReadingPool> {
    const { pools, namespace, onError } = this.#settings;
    const redis = this.#redis;
    return new Map(
      Object.values(pools.pools).map((pool) => {
        const space = keySpace(namespace, pool.scope);
        const open = (lane: string): LaneQueue =>
          new LaneQueue({ redis, keySpace: space, pool: pool.name, lane, clock: this.clock, onError });
        const lanes = new Map(pool.lanes.map((lane) => [lane, open(lane)]));
        const polls = open(POLLS_LANE);
        this.#laneQueues.push(polls, ...lanes.values());
        const lane = (name: string): LaneQueue => {
          const queue = lanes.get(name);
          if (queue === undefined) throw new Error(`Pool '${pool.name}' has no lane '${name}'`);
          return queue;
        };
        const { lanes: names, deadlineMs } = pool;
        const results = { lineage: new Lineage(redis, space), outcomes: new OutcomeStore(redis, space) };
        return [pool.name, { lanes: names, deadlineMs, ...results, lane, polls }];
      }),
    );
  }

  /** How far a paced replay of a whole class is, for the title of its queue. */
  #progress(errorClass: string): string | undefined {
    const what = `class ${errorClass}`;
    const run = this.#runs.all.find((each) => each.what === what && each.endedAt === undefined);
    if (run === undefined) return undefined;
    const waits = run.trouble === undefined ? "" : ` It waits: ${run.trouble}`;
    return `Replaying ${run.total} letters a few at a time: ${run.queued} are in their lanes.${waits}`;
  }
}
