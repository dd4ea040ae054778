/**
 * Watches, for one program, whether its Redis is still the one that jobs can be trusted to. Every few seconds, after each
 * reconnect and whenever somebody asks it looks at what the server says of itself, and writes a mark into each key space:
 * so it notices a server that takes no writes, one that has come back empty, and one that took another's place.
 * And it asks for its time.
 */
import { randomUUID } from "node:crypto";
import type { Redis } from "ioredis";
import { z } from "zod";
import type { RedisClock } from "./clock.ts";
import {
  baselineOf,
  clockProblems,
  isNotReady,
  isTimeout,
  isUnfitting,
  isUnsafe,
  problemOf,
  serverProblems,
  throwUnfit,
  type Problem,
  type ProblemCode,
} from "./fit.ts";
import type { KeySpace } from "./keyspace.ts";
import { defineScript, type Script } from "./script.ts";
import { parseServer, type ServerState } from "./server.ts";

/** What a watch has noticed. Each is told once. */
export type RedisNews =
  | { readonly type: "trouble"; readonly problem: Problem; readonly ready: boolean }
  | { readonly type: "over"; readonly code: ProblemCode; readonly lastedMs: number }
  /** Nothing of this key space was there: a new installation, or all programs were away while Redis lost its data. */
  | { readonly type: "new"; readonly keySpace: KeySpace }
  /** The key space was there, and is not any more. */
  | { readonly type: "emptied"; readonly keySpace: KeySpace }
  /** Another life of the server answers, or another server: what was written last may be lost. */
  | ({ readonly type: "restarted"; readonly keySpace: KeySpace } & RedisChange);

/** Another server, or another life of it, that answers for a key space. Milliseconds since the epoch, by the shared clock. */
export interface RedisChange {
  /** When it was found. That may be long after it took place, when no program could look. */
  readonly at: number;
  /** When what answered before was looked at last: nothing that was written sooner is in doubt. */
  readonly seenAt: number;
}

export interface RedisWatchOptions {
  /** A connection whose commands are bounded in time (profile `command` or `producer`). Its owner ends it. */
  readonly redis: Redis;
  readonly keySpaces: readonly KeySpace[];
  readonly onNews: (news: RedisNews) => void;
  /** Is measured with every look. */
  readonly clock: RedisClock;
  /** Milliseconds between looks. Default 5,000. */
  readonly everyMs?: number;
}

/** How a Redis is. */
export interface Health {
  /** A job that is accepted now is kept. */
  readonly ready: boolean;
  /** All that is wrong with it, warnings too. */
  readonly problems: readonly Problem[];
}

const EVERY_MS = 5_000;

/** How long one look serves those who ask, milliseconds. */
const LOOK_AGE_MS = 1_000;

/** Pause between two looks at a Redis that does not answer at the start, milliseconds. */
const ASK_AGAIN_MS = 500;

const changesSchema = z.array(z.tuple([z.number(), z.number()]));

const markReply = z
  .tuple([z.string(), z.number(), z.number(), z.string()])
  .transform(([id, made, changed, text]) => {
    const changes = changesSchema.parse(text === "" ? [] : JSON.parse(text));
    return {
      id,
      made: made === 1,
      changed: changed === 1,
      changes: changes.map(([at, seenAt]): RedisChange => ({ at, seenAt })),
    };
  });

const mark: Script<
  { keySpace: KeySpace; id: string; runId: string },
  z.infer<typeof markReply>
> = defineScript(
  new URL("../lua/mark.lua", import.meta.url),
  ({ keySpace, id, runId }) => ({ keys: [`${keySpace}:mark`], argv: [id, runId] }),
  (reply) => markReply.parse(reply),
);

interface Known {
  readonly id: string;
  /** The last ones, the oldest first. */
  readonly changes: readonly RedisChange[];
}

interface Trouble {
  readonly problem: Problem;
  readonly since: number;
}

export class RedisWatch {
  readonly clock: RedisClock;
  readonly #options: RedisWatchOptions;
  readonly #known = new Map<KeySpace, Known>();
  readonly #troubles = new Map<ProblemCode, Trouble>();
  readonly #onReady = (): void => void this.look();
  readonly #onClose = (): void => {
    if (!this.#troubles.has("away")) void this.look();
  };
  #before: ServerState | undefined;
  /** That jobs may be gone does not pass: it is told for as long as this program runs. */
  #evicted: Problem | undefined;
  #looking: Promise<Health> | undefined;
  #looked: { readonly at: number; readonly health: Health } | undefined;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(options: RedisWatchOptions) {
    this.#options = options;
    this.clock = options.clock;
  }

  /** Begins to look. */
  start(): void {
    const { redis, everyMs = EVERY_MS } = this.#options;
    // A new connection may lead to another server.
    redis.on("ready", this.#onReady);
    redis.on("close", this.#onClose);
    this.#timer ??= setInterval(() => void this.look(), everyMs);
    this.#timer.unref();
  }

  stop(): void {
    this.#stopped = true;
    clearInterval(this.#timer);
    this.#options.redis.off("ready", this.#onReady);
    this.#options.redis.off("close", this.#onClose);
  }

  /** How Redis is, as of a second ago at most. Never rejects. */
  async health(): Promise<Health> {
    if (this.#looked !== undefined && performance.now() - this.#looked.at < LOOK_AGE_MS) {
      return this.#looked.health;
    }
    return this.look();
  }

  /** Why a job that is accepted now could be lost, as of the last look. Asks nothing. */
  get unsafe(): Problem | undefined {
    return this.#looked?.health.problems.find(isUnsafe);
  }

  /** The last few changes of what answers for a key space, the oldest first; none when none is known to have happened. */
  changes(keySpace: KeySpace): readonly RedisChange[] {
    return (this.#known.get(keySpace)?.changes ?? []).map((change) => this.#shared(change));
  }

  /**
   * Resolves when Redis has answered, whether or not it takes writes by then.
   * @throws UnfitRedisError when it may not hold jobs; the signal's reason when that fires before.
   */
  async untilFit(signal: AbortSignal): Promise<void> {
    for (;;) {
      signal.throwIfAborted();
      const { problems } = await this.look();
      throwUnfit(problems);
      if (!problems.some(({ code }) => code === "away" || code === "read-only")) return;
      await pause(ASK_AGAIN_MS, signal);
    }
  }

  /** Looks now, or joins the look that is under way. Never rejects. */
  async look(): Promise<Health> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  async #look(): Promise<Health> {
    const found = await this.#ask();
    // A program that loads its modules reads answers late: its first question is no word about Redis.
    const isLate = this.#looked === undefined && found.problems.some(isTimeout) && !this.#stopped;
    const { problems, news } = isLate ? await this.#ask() : found;
    return this.#conclude(problems, news);
  }

  async #ask(): Promise<{ readonly problems: readonly Problem[]; readonly news: readonly RedisNews[] }> {
    const { redis, keySpaces } = this.#options;
    const problems: Problem[] = [];
    const news: RedisNews[] = [];
    try {
      const server = parseServer(await redis.info());
      const before = baselineOf(this.#before, server);
      const isFirst = this.#before === undefined;
      problems.push(...serverProblems(server, before));
      // A server that may hold no jobs may refuse any further question, too.
      if (isFirst && problems.some(isUnfitting)) return { problems, news };
      await this.clock.measure();
      problems.push(...clockProblems(this.clock));
      if (isFirst && problems.some(isUnfitting)) return { problems, news };
      this.#before = before;
      for (const keySpace of keySpaces) news.push(...(await this.#mark(keySpace, server.runId)));
    } catch (error) {
      const problem = problemOf(error, redis);
      // A write that got no answer from a replica: the replica is the reason.
      const isTold = problems.some(({ code }) => code === problem.code || code === "read-only");
      if (!isTold) problems.push(problem);
    }
    return { problems, news };
  }

  #conclude(found: readonly Problem[], news: readonly RedisNews[]): Health {
    const evicted = found.find(({ code }) => code === "evicted");
    this.#evicted ??= evicted;
    const problems = evicted !== undefined || this.#evicted === undefined ? found : [...found, this.#evicted];
    const health = { ready: !problems.some(isNotReady), problems };
    if (this.#stopped) return health;
    this.#looked = { at: performance.now(), health };
    for (const each of [...this.#compare(problems), ...news]) this.#options.onNews(each);
    return health;
  }

  async #mark(keySpace: KeySpace, runId: string): Promise<RedisNews[]> {
    const before = this.#known.get(keySpace);
    const found = await mark.run(this.#options.redis, { keySpace, id: randomUUID(), runId });
    const { id, made, changed, changes } = found;
    this.#known.set(keySpace, { id, changes });
    const tell = (change: RedisChange): RedisNews => ({
      type: "restarted",
      keySpace,
      ...this.#shared(change),
    });
    if (before === undefined)
      return made ? [{ type: "new", keySpace }] : changed ? changes.slice(-1).map(tell) : [];
    if (before.id !== id) return [{ type: "emptied", keySpace }];
    // Not by which is later: the server that took over may have a clock that is behind.
    return changes.filter((change) => !before.changes.some((known) => isSame(known, change))).map(tell);
  }

  /**
   * Times that were taken by Redis's own clock, by the shared one. Whether its clock was set before or after them is not
   * known: they are as far apart as they may be.
   */
  #shared({ at, seenAt }: RedisChange): RedisChange {
    const { correctionMs } = this.clock;
    return { at: at + Math.max(0, correctionMs), seenAt: seenAt + Math.min(0, correctionMs) };
  }

  /** What has come and what has gone since the last look. */
  #compare(problems: readonly Problem[]): RedisNews[] {
    const news: RedisNews[] = [];
    const now = performance.now();
    const present = new Set(problems.map(({ code }) => code));
    for (const [code, { since }] of this.#troubles) {
      if (present.has(code)) continue;
      // One that does not answer tells nothing of what else was wrong with it.
      if (present.has("away")) continue;
      this.#troubles.delete(code);
      news.push({ type: "over", code, lastedMs: Math.round(now - since) });
    }
    for (const problem of problems) {
      if (this.#troubles.has(problem.code)) continue;
      this.#troubles.set(problem.code, { problem, since: now });
      news.push({ type: "trouble", problem, ready: !isNotReady(problem) });
    }
    return news;
  }
}

function isSame(a: RedisChange, b: RedisChange): boolean {
  return a.at === b.at && a.seenAt === b.seenAt;
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  signal.addEventListener("abort", () => resolve(), { once: true });
  await promise;
  clearTimeout(timer);
}
