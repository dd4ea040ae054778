import { expect, test } from "vitest";
import { createMemoryLimiter, isIdle } from "../src/index.ts";
import { POOL, START, Subject } from "./harness.ts";

const subject = async (): Promise<Subject> => Subject.create((now) => createMemoryLimiter({ now }));
const idle = async (s: Subject): Promise<boolean> => isIdle(await s.limiter.inspect(POOL));

test("a pool that nobody asks anything is idle", async () => {
  const s = await subject();
  expect(await idle(s)).toBe(true);
  await s.calls(3, "ok");
  expect(await idle(s)).toBe(true);
});

test("a pool whose quota is in use is not, until it has refilled", async () => {
  const s = await subject();
  await s.ask("large", "standard", 900);
  expect(await idle(s)).toBe(false);
  s.clock.ms = START + 1_000;
  expect(await idle(s)).toBe(true);
});

test("a pool whose requests are used up is not, however many tokens are left", async () => {
  const s = await subject();
  for (let i = 0; i < 8; i++) await s.ask(`small${i}`);
  expect(await idle(s)).toBe(false);
});

test("a pool whose last call failed is not, until it answers one", async () => {
  const s = await subject();
  await s.calls(1, "failed");
  s.clock.ms += 5_000;
  expect(await idle(s)).toBe(false);
  await s.calls(1, "ok");
  s.clock.ms += 5_000;
  expect(await idle(s)).toBe(true);
});

test("a pool whose server asked to be left alone is not", async () => {
  const s = await subject();
  await s.call("held", "throttled", { holdMs: 30_000 });
  s.clock.ms += 20_000;
  expect(await idle(s)).toBe(false);
  s.clock.ms += 20_000;
  expect(await idle(s)).toBe(true);
});

test.each([{ type: "open", forMs: 1_000 }, { type: "isolate" }] as const)(
  "a pool that takes no calls is not: $type",
  async (action) => {
    const s = await subject();
    await s.limiter.operate(POOL, action);
    expect(await idle(s)).toBe(false);
    await s.limiter.operate(POOL, { type: "close" });
    s.clock.ms += 5_000;
    expect(await idle(s)).toBe(true);
  },
);
