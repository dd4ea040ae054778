/** Whether a fleet keeps the times of jobs: of those that start later, and of those that die. */
import { must, type Measured } from "../trials/trial.ts";
import type { Fleet } from "./fleet.ts";
import { post } from "./http.ts";

/** Its jobs wait until somebody takes the pool's isolation back, or die. */
export const SHUT_POOL = "shut";

/** A scheduled job may start so much before its time: what Redis and the simulator round, and their clocks' drift. */
const EARLY_MS = 100;
/** How late a job that is due may start, and one whose deadline passed may end. A busy machine takes its time. */
const LATE_MS = 6_000;

/** How far a promised deadline may be from ours: the time that a busy machine takes for a POST. */
const PROMISE_MS = 3_000;

/** So many of them. */
export const many = <Item>(count: number, item: (index: number) => Item): Item[] =>
  Array.from({ length: count }, (_, index) => item(index));

/** What a job was due to do, in the machine's right time, milliseconds since the epoch. */
interface Due {
  readonly id: string;
  readonly at: number;
}

/** Jobs whose deadlines are near, jobs that start later, and jobs that nobody can answer: how each is kept. */
export async function keepTimes(fleet: Fleet, apis: readonly string[]): Promise<Measured> {
  const all = await Promise.all(
    apis.map(async (api) => {
      const plain = await Promise.all(many(20, async () => post(api, { deadlineMs: 20_000 })));
      const scheduled = await Promise.all(
        many(10, async () => {
          const at = Date.now() + 4_000;
          return { at, ...(await post(api, { delayMs: 4_000, deadlineMs: 20_000 })) };
        }),
      );
      const runAt = Date.now() + 6_000;
      const atATime = await Promise.all(
        many(5, async () => ({
          at: runAt,
          ...(await post(api, { runAt: new Date(runAt).toISOString(), deadlineMs: 20_000 })),
        })),
      );
      const doomed = await Promise.all(
        many(5, async () => {
          const at = Date.now() + 5_000;
          return { at, ...(await post(api, { pool: SHUT_POOL, deadlineMs: 5_000 })) };
        }),
      );
      for (const { deadlineAt, at } of doomed) {
        const off = Date.parse(deadlineAt ?? "") - at;
        must(Math.abs(off) < PROMISE_MS, `an API promised a deadline that is ${off} ms off`);
      }
      return { plain, due: [...scheduled, ...atATime], doomed };
    }),
  );
  const plain = all.flatMap((each) => each.plain.map(({ id }) => id));
  const due: Due[] = all.flatMap((each) => each.due);
  const doomed: Due[] = all.flatMap((each) => each.doomed);
  await fleet.untilAll("completed", plain);
  await fleet.untilAll(
    "completed",
    due.map(({ id }) => id),
  );
  await fleet.untilAll(
    "dead",
    doomed.map(({ id }) => id),
  );
  return { ...(await startsOf(fleet, due)), ...(await deathsOf(fleet, doomed)) };
}

/** How far from its time each began. @throws Fell when one was early or late. */
async function startsOf(fleet: Fleet, due: readonly Due[]): Promise<Measured> {
  const calls = await fleet.calls(due.map(({ id }) => id));
  const off = due.map(
    ({ id, at }) => Math.min(...(calls.get(id) ?? []).map(({ startedAt }) => startedAt)) - at,
  );
  const [startedFirstMs, startedLastMs] = [Math.round(Math.min(...off)), Math.round(Math.max(...off))];
  must(startedFirstMs >= -EARLY_MS, `a job started ${-startedFirstMs} ms before its time`);
  must(startedLastMs <= LATE_MS, `a job started ${startedLastMs} ms after its time`);
  return { startedFirstMs, startedLastMs };
}

/** How far from its deadline each died. @throws Fell when one was early or late. */
async function deathsOf(fleet: Fleet, doomed: readonly Due[]): Promise<Measured> {
  const ends = await Promise.all(
    doomed.map(async ({ id, at }) => ({ at, outcome: await fleet.installation.records.outcome(id) })),
  );
  const off = ends.map(({ at, outcome }) => (outcome?.endedAt ?? 0) - at);
  const [diedFirstMs, diedLastMs] = [Math.min(...off), Math.max(...off)];
  must(diedFirstMs >= -EARLY_MS, `a job died ${-diedFirstMs} ms before its deadline`);
  must(diedLastMs <= LATE_MS, `a job died ${diedLastMs} ms after its deadline`);
  return { diedFirstMs, diedLastMs };
}
