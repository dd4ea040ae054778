/** A pool that is shut while jobs it has granted wait for their start: none of them calls. */
import { countInFlight } from "@sluice/chaos";
import { expect, inject, test, vi } from "vitest";
import { startFleet } from "./fleet.ts";

vi.setConfig({ testTimeout: 120_000 });

const POOL = "test";
const SOON = { timeout: 25_000, interval: 50 } as const;

/** 200 tokens a second, of which a call uses about 430: each is granted seconds before its start. */
const TOKENS_PER_MINUTE = 12_000;
const TEXT = "Was der Bauer nicht kennt, frisst er nicht. ".repeat(36);
const REQUEST = { messages: [{ role: "user", content: [{ text: TEXT }] }], maxTokens: 40 };

test("they go back with their grants refunded, and call once when it takes calls again", async () => {
  await using fleet = await startFleet({
    redisUrl: inject("redisUrl"),
    dynamoDbUrl: inject("dynamoDbUrl"),
    tokensPerMinute: TOKENS_PER_MINUTE,
    latencyMs: 20,
    slots: 32,
  });
  const ids = await fleet.submit(Array.from({ length: 5 }, () => ({ request: REQUEST })));
  // Locks that outlast the moments in which a busy machine stands still.
  const worker = await fleet.startWorker(undefined, {
    SLUICE_LOCK_IN_HAND_MS: "10000",
    SLUICE_LOCK_CALL_MS: "10000",
  });
  const logged = (event: string) => worker.lines.filter(({ msg }) => msg === event);
  await vi.waitFor(async () => {
    const { reservations } = await fleet.limiter.inspect(POOL);
    const started = logged("job:granted").length - logged("job:completed").length;
    // The line that says a call has started comes later than the call.
    expect(reservations - started).toBeGreaterThanOrEqual(2);
  }, SOON);

  await fleet.limiter.operate(POOL, { type: "open", forMs: 600_000 });

  await worker.logged(
    "a grant taken back",
    ({ msg, reason }) => msg === "job:deferred" && reason === "pool-shut",
  );
  await vi.waitFor(async () => {
    expect(await countInFlight(fleet.simulatorUrl)).toBe(0);
    expect((await fleet.limiter.inspect(POOL)).reservations).toBe(0);
  }, SOON);
  const before = logged("job:granted").length;
  const ended = (await fleet.ends(ids)).filter((end) => end !== undefined).length;
  expect({ before, ended }).toEqual({ before: ended, ended });

  await fleet.limiter.operate(POOL, { type: "close" });

  await vi.waitFor(async () => expect(await fleet.ends(ids)).toEqual(ids.map(() => "completed")), {
    ...SOON,
    timeout: 60_000,
  });
  expect(await fleet.callsByJob()).toEqual(new Map(ids.map((id) => [id, 1])));
});
