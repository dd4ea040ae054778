/**
 * What people have done to a pool by hand, newest first: kept beside its limits and told to every worker, so that its logs
 * say who has moved a breaker or a quota, and from where.
 */
import { randomUUID } from "node:crypto";
import type { KeySpace } from "@sluice/redis";
import type { Redis } from "ioredis";
import { newsChannel, poolKeys } from "./keys.ts";
import { parsedLine } from "./record-lines.ts";
import { recordLine } from "./record-script.ts";

/** Longest name of who acts, and longest text of what was done, in UTF-16 code units. */
export const ACTOR_LENGTH = 200;
const ACTION_LENGTH = 500;

/** One line of the record. */
export interface Operation {
  readonly version: 1;
  /** The same in both lines of one operation. */
  readonly id: string;
  /** `intent`: it is about to be done. `done`, `failed`: how it ended. */
  readonly phase: "intent" | "done" | "failed";
  /** Milliseconds since the epoch, by the clock of who acts. */
  readonly atMs: number;
  /** Who, as he says. */
  readonly by: string;
  /** Where from: the account and the machine. */
  readonly from: string;
  /** What, e.g. `breaker isolate`. */
  readonly action: string;
}

export interface Operations {
  /**
   * Does the work between two lines of the record. Rejects as the work does, and without doing it when the first line
   * cannot be written.
   */
  record<T>(pool: string, act: Pick<Operation, "by" | "from" | "action">, work: () => Promise<T>): Promise<T>;
  /** Newest first. What this version cannot read is left out. */
  entries(pool: string, limit: number): Promise<readonly Operation[]>;
}

/** @param clock the time that all who read the records share. Default: the machine's. */
export function createOperations(
  redis: Redis,
  keySpace: KeySpace,
  clock: () => number = Date.now,
): Operations {
  const add = async (pool: string, operation: Operation): Promise<void> => {
    const { operations } = poolKeys(keySpace, pool);
    const news = JSON.stringify([{ type: "operated", pool, ...operation }]);
    await recordLine.run(redis, {
      key: operations,
      line: JSON.stringify(operation),
      news: { channel: newsChannel(keySpace), text: news },
    });
  };
  return {
    async record(pool, { by, from, action }, work) {
      const named = { by: by.slice(0, ACTOR_LENGTH), from: from.slice(0, ACTOR_LENGTH) };
      const common = {
        version: 1,
        id: randomUUID(),
        ...named,
        action: action.slice(0, ACTION_LENGTH),
      } as const;
      await add(pool, { ...common, phase: "intent", atMs: clock() });
      try {
        const result = await work();
        await add(pool, { ...common, phase: "done", atMs: clock() });
        return result;
      } catch (error) {
        // What went wrong is told to who acts. The record must not hide it when Redis is away by now.
        await add(pool, { ...common, phase: "failed", atMs: clock() }).catch(() => undefined);
        throw error;
      }
    },
    async entries(pool, limit) {
      const stored = await redis.lrange(poolKeys(keySpace, pool).operations, 0, limit - 1);
      return stored.map(parsedLine).filter(isOperation);
    },
  };
}

function isOperation(line: unknown): line is Operation {
  if (typeof line !== "object" || line === null || !("version" in line) || line.version !== 1) return false;
  const texts = ["id", "phase", "by", "from", "action"];
  const fields = new Map(Object.entries(line));
  return (
    texts.every((name) => typeof fields.get(name) === "string") && typeof fields.get("atMs") === "number"
  );
}

/** The last thing of each operation that is on record: how it ended, as far as that is known. */
export function latest(entries: readonly Operation[]): readonly Operation[] {
  const ids = new Set<string>();
  return entries.filter(({ id }) => !ids.has(id) && ids.add(id));
}
