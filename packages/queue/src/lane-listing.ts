/**
 * The jobs of a lane as people look at them: a page at a time, without what was asked. Requests can be long, and a page of
 * them would hold up Redis for everybody who works with it.
 */
import { parseJson } from "@sluice/job";
import { defineScript, type Script } from "@sluice/redis";
import type { JobType, Queue } from "bullmq";
import type { Redis } from "ioredis";
import { z } from "zod";

/** A job as a list shows it. */
export interface ListedJob {
  readonly id: string;
  /** BullMQ's own word. */
  readonly state: string;
  readonly name: string;
  /** As stored; `undefined` when it is not JSON, or too long for a list. So are all of `unknown`. */
  readonly opts: unknown;
  readonly progress: unknown;
  readonly returnvalue: unknown;
  /** Milliseconds since the epoch. */
  readonly timestamp: number;
  readonly processedOn: number | undefined;
  readonly finishedOn: number | undefined;
  readonly delay: number;
  readonly priority: number;
  readonly attemptsMade: number;
  readonly attemptsStarted: number;
  readonly stalls: number;
  readonly failedReason: string | undefined;
  readonly stacktrace: readonly string[];
  /** What its data takes in Redis. */
  readonly dataBytes: number;
}

/** A job on a page of its own. */
export interface OpenedJob extends ListedJob {
  /** As stored; parse it before use. `undefined` when it is gone, too long to be read, or not JSON. */
  readonly data: unknown;
}

/** Jobs of one page at most. */
export const MOST_LISTED = 300;

/** A text in a list, and all texts of a page, bytes. */
const LONGEST_TEXT = 4_096;
const TEXT_BUDGET = 256 * 1024;

/** More data than any request we accept makes. */
const LONGEST_DATA = 4 * 1024 * 1024;

/** Jobs of one script: a script of more would hold up Redis for longer than a command may. */
const CHUNK = 50;

const TEXTS = ["name", "opts", "progress", "returnvalue", "failedReason", "stacktrace"] as const;

const number = z.coerce.number().catch(0);
const text = z.union([z.string(), z.number()]).nullable();
const replySchema = z.array(
  z
    .tuple([z.number(), z.array(z.string().nullable()).length(8), z.array(text).length(TEXTS.length)])
    .nullable(),
);
type Reply = z.output<typeof replySchema>;

const list: Script<{ hashes: readonly string[] }, Reply> = defineScript(
  new URL("../lua/list-jobs.lua", import.meta.url),
  ({ hashes }) => ({
    keys: hashes,
    argv: [LONGEST_TEXT, Math.floor((TEXT_BUDGET * CHUNK) / MOST_LISTED), ...TEXTS],
  }),
  (reply) => replySchema.parse(reply),
);

export class LaneListing {
  readonly #queue: Queue;
  readonly #redis: Redis;

  /** @param redis a connection of the `producer` or the `command` profile. */
  constructor(queue: Queue, redis: Redis) {
    this.#queue = queue;
    this.#redis = redis;
  }

  /**
   * Jobs in these states, from the `start`-th of each on, `count` of each and `MOST_LISTED` of all at most. Rejects when
   * Redis does not answer.
   */
  async page(states: readonly JobType[], start: number, count: number): Promise<readonly ListedJob[]> {
    if (!Number.isSafeInteger(start) || start < 0 || count < 1) return [];
    const end = start + Math.min(count, MOST_LISTED) - 1;
    const perState = await Promise.all(
      states.map(async (state) =>
        (await this.#queue.getRanges([state], start, end)).map((id) => ({ id, state })),
      ),
    );
    // A job that moved meanwhile is met twice.
    const distinct = new Map(perState.flat().map((job) => [job.id, job]));
    return this.#read([...distinct.values()].slice(0, MOST_LISTED));
  }

  /** One job with its data; `undefined` when the lane does not know it. */
  async open(id: string): Promise<OpenedJob | undefined> {
    const state = await this.#queue.getJobState(id);
    const [job] = await this.#read([{ id, state }]);
    if (job === undefined) return undefined;
    const data =
      job.dataBytes === 0 || job.dataBytes > LONGEST_DATA
        ? null
        : await this.#redis.hget(this.#queue.toKey(id), "data");
    return { ...job, data: data === null ? undefined : parsed(data) };
  }

  async #read(jobs: readonly { readonly id: string; readonly state: string }[]): Promise<ListedJob[]> {
    const read: ListedJob[] = [];
    for (let at = 0; at < jobs.length; at += CHUNK) {
      const chunk = jobs.slice(at, at + CHUNK);
      // oxlint-disable-next-line no-await-in-loop -- one after the other, so that others get their turns between
      const replies = await list.run(this.#redis, { hashes: chunk.map(({ id }) => this.#queue.toKey(id)) });
      read.push(
        ...chunk.flatMap((job, place) => {
          const reply = replies[place] ?? null;
          return reply === null ? [] : [listed(job, reply)];
        }),
      );
    }
    return read;
  }
}

function listed(
  { id, state }: { readonly id: string; readonly state: string },
  [dataBytes, numbers, texts]: NonNullable<Reply[number]>,
): ListedJob {
  const [timestamp, delay, priority, processedOn, finishedOn, made, started, stalls] = numbers.map((each) =>
    number.parse(each),
  );
  const [name, opts, progress, returnvalue, failedReason, stacktrace] = texts;
  return {
    id,
    state,
    name: shown(name) ?? "",
    opts: parsed(opts),
    progress: parsed(progress),
    returnvalue: parsed(returnvalue),
    timestamp: timestamp ?? 0,
    processedOn: processedOn === 0 ? undefined : processedOn,
    finishedOn: finishedOn === 0 ? undefined : finishedOn,
    delay: delay ?? 0,
    priority: priority ?? 0,
    attemptsMade: made ?? 0,
    attemptsStarted: started ?? 0,
    stalls: stalls ?? 0,
    failedReason: shown(failedReason),
    stacktrace: z.array(z.string()).catch([]).parse(parsed(stacktrace)),
    dataBytes,
  };
}

/** A text, or that it is too long for a list. */
function shown(value: string | number | null | undefined): string | undefined {
  return typeof value === "number" ? `${value} bytes, too long to be shown here` : (value ?? undefined);
}

function parsed(value: string | number | null | undefined): unknown {
  return typeof value === "string" ? parseJson(value) : undefined;
}
