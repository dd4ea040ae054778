/** Between one worker and Redis, replies are lost again and again: what was done is not done a second time. */
import { setTimeout as sleep } from "node:timers/promises";
import { expect, inject, test, vi } from "vitest";
import { z } from "zod";
import { startProxyTo } from "../src/index.ts";
import { startLab } from "./lab.ts";

vi.setConfig({ testTimeout: 90_000 });

/** Longer than a command waits for its reply, so that the worker has to ask again. */
const LOST_MS = 1_300;
const FINE_MS = 700;
const TIMES = 6;

test("one call per job, each settled once", async () => {
  await using lab = await startLab({ latencyMs: 300 });
  await using proxy = await startProxyTo(inject("redisUrl"));
  // Nobody is dead here, however long a beat is away.
  const env = {
    SLUICE_HEARTBEAT_TTL_MS: "6000",
    SLUICE_LOCK_IN_HAND_MS: "3000",
    SLUICE_LOCK_CALL_MS: "6000",
  };
  const flaky = await lab.installation.startWorker({ ...env, REDIS_URL: proxy.url });
  await lab.installation.startWorker(env);
  const ids = await lab.submit(200);
  for (let time = 0; time < TIMES; time += 1) {
    proxy.set({ lost: "replies" });
    await sleep(LOST_MS);
    proxy.set({});
    await sleep(FINE_MS);
  }
  await lab.untilEnded(ids);
  expect(flaky.running).toBe(true);
  // Told once, then together.
  const again = await flaky.logged("the errors", ({ msg }) => msg === "error:repeated");
  const { errors } = z.object({ errors: z.array(z.object({ times: z.number() })) }).parse(again);
  expect(errors.reduce((sum, { times }) => sum + times, 0)).toBeGreaterThan(TIMES);
  expect(await lab.problems(ids, { calls: [1, 1] })).toEqual([]);
  expect(await lab.reservations()).toBe(0);
});
