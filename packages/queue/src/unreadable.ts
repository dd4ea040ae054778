/**
 * Jobs that BullMQ cannot read: it throws after it has fetched one, tells nobody which it was, and would fetch it again
 * once its lock has run out. So the job is found by the lock of that fetch, made readable, and ended.
 */
import { OWN_FAILURES, type Failure } from "@sluice/job";
import { defineScript, type Script } from "@sluice/redis";
import type { Redis } from "ioredis";
import { z } from "zod";
import { FAILURE_FIELD, type LaneKeys } from "./keys.ts";

const FAILURE: Failure = {
  kind: "terminal",
  errorClass: OWN_FAILURES.malformed.errorClass,
  message: "What Redis holds of the job is not what a queue wrote",
};

const REASON = `${FAILURE.errorClass}: ${FAILURE.message}`;

interface SetAside {
  readonly keys: LaneKeys;
  readonly id: string;
  readonly token: string;
  readonly now: number;
  readonly fields: Readonly<Record<string, string>>;
}

const setAside: Script<SetAside, boolean> = defineScript(
  new URL("../lua/set-aside.lua", import.meta.url),
  ({ keys, id, token, now, fields }) => ({
    keys: [
      keys.active,
      keys.failed,
      keys.stalled,
      keys.events,
      keys.deadlines,
      keys.jobPrefix + id,
      `${keys.jobPrefix}${id}:lock`,
    ],
    argv: [id, token, now, REASON, ...Object.entries({ ...fields, ...failureFields() }).flat()],
  }),
  (reply) => reply === 1,
  { whenFull: true },
);

/** Jobs of one promotion of BullMQ's, twice: those that are set aside let others into it. */
const LOOKED_AT = 2_000;

const dueAside: Script<{ keys: LaneKeys; aheadMs: number }, readonly string[]> = defineScript(
  new URL("../lua/set-due-aside.lua", import.meta.url),
  ({ keys, aheadMs }) => ({
    keys: [keys.delayed, keys.failed, keys.events, keys.deadlines],
    argv: [
      keys.jobPrefix,
      aheadMs,
      LOOKED_AT,
      REASON,
      ...Object.entries({ data: "null", ...failureFields() }).flat(),
    ],
  }),
  (reply) => z.array(z.string()).parse(reply),
  { whenFull: true },
);

/** Ends delayed jobs that fall due within `aheadMs` and whose key holds no hash: a promotion would break off at one. */
export async function setDueAside(
  redis: Redis,
  keys: LaneKeys,
  aheadMs: number,
  onUnreadable: ((id: string) => void) | undefined,
): Promise<void> {
  for (const id of await dueAside.run(redis, { keys, aheadMs })) onUnreadable?.(id);
}

function failureFields(): Record<string, string> {
  return { stacktrace: JSON.stringify([REASON]), [FAILURE_FIELD]: JSON.stringify(FAILURE) };
}

/**
 * Whether a fetch failed of what it got, by its error: of no JSON, of a key that is no hash, of a counter that is no number.
 * Not of its connection.
 */
export function mayBeUnreadable(error: unknown): boolean {
  return error instanceof Error && ["SyntaxError", "TypeError", "ReplyError"].includes(error.name);
}

/**
 * Looks for the job that a fetch got under this token, and ends it in the failed set if it cannot be read.
 * @param now milliseconds since the epoch: when it died.
 * Resolves to its id; to `undefined` when the fetch got none, or one that only its connection kept from us.
 */
export async function endUnreadable(
  redis: Redis,
  keys: LaneKeys,
  token: string,
  now: number,
): Promise<string | undefined> {
  const active = await redis.lrange(keys.active, 0, -1);
  if (active.length === 0) return undefined;
  const locks = await redis.mget(active.map((id) => `${keys.jobPrefix}${id}:lock`));
  const id = active[locks.indexOf(token)];
  if (id === undefined) return undefined;
  const hash = keys.jobPrefix + id;
  const isHash = (await redis.type(hash)) === "hash";
  const fields = isHash ? mended(await redis.hgetall(hash)) : { data: "null" };
  if (isHash && Object.keys(fields).length === 0) return undefined;
  const ended = await setAside.run(redis, { keys, id, token, now, fields });
  return ended ? id : undefined;
}

/** What BullMQ counts in a job: tries that count, fetches, and times its worker vanished. */
const COUNTERS = ["atm", "ats", "stc"] as const;

/** What Redis takes for a number that it can add to, and no more digits than are exact here. */
const COUNT = /^-?\d{1,15}$/;

/**
 * A fetched job with a counter that is no number could be run, but neither ended nor put back: the script that counts
 * fails, and the job would come again for ever.
 * @param reply of the script of a fetch: the job's hash comes first, as a flat list of fields and values.
 * @throws TypeError, which is taken for a job that cannot be read.
 */
export function assertCounters(reply: unknown): void {
  const [hash]: readonly unknown[] = Array.isArray(reply) ? reply : [];
  if (!Array.isArray(hash)) return;
  const isWrong = hash.some(
    (value, place) =>
      place % 2 === 1 && COUNTERS.some((name) => name === hash[place - 1]) && !COUNT.test(String(value)),
  );
  if (isWrong) throw new TypeError("A counter of the job is no number");
}

/**
 * The fields that BullMQ cannot read, as it can: data that is no JSON as a text, so that it is kept, and the others as
 * they are of a new job. Pure.
 */
export function mended(hash: Readonly<Record<string, string>>): Record<string, string> {
  const { data = "", opts = "", progress = "", parent = "" } = hash;
  return {
    ...(isJson(data) ? {} : { data: JSON.stringify(data) }),
    ...(isJson(opts, (value) => typeof value === "object" && value !== null) ? {} : { opts: "{}" }),
    ...(isJson(progress) ? {} : { progress: "0" }),
    ...(isJson(parent) ? {} : { parent: "" }),
    ...Object.fromEntries(
      COUNTERS.filter((counter) => !COUNT.test(hash[counter] ?? "0")).map((counter) => [counter, "0"]),
    ),
  };
}

/** An empty field counts as absent. */
function isJson(text: string, holds: (value: unknown) => boolean = () => true): boolean {
  if (text === "") return true;
  try {
    return holds(JSON.parse(text));
  } catch {
    return false;
  }
}
