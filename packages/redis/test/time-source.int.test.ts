/** Redis's clock is set while several programs go by it, each with a monotonic clock of its own. */
import { randomUUID } from "node:crypto";
import { expect, test } from "vitest";
import { RedisClock, timeSource } from "../src/index.ts";
import { clockProblems } from "../src/fit.ts";
import { ownRedis } from "../../services/test/own-redis.ts";
import { testRedis } from "./redis.ts";

const START = 1_790_000_000_000;
const LOOK_MS = 5_000;

/** Programs that look every five seconds, and a Redis whose clock goes as the test says. */
function installation(redis = testRedis("command")) {
  const namespace = `t-${randomUUID()}`;
  const world = { passed: 0, redisAhead: 0, machinesAhead: 0 };
  const source = timeSource(redis, namespace, () => START + world.passed + world.redisAhead);
  /** A program on a machine that may sleep. */
  const program = () => {
    const asleep = { ms: 0 };
    const clock = new RedisClock({
      source,
      machine: () => START + world.passed + world.machinesAhead,
      monotonic: () => world.passed - asleep.ms,
    });
    return { clock, asleep };
  };
  const looks = async (clocks: readonly RedisClock[], ms = LOOK_MS): Promise<void> => {
    for (let passed = 0; passed < ms; passed += LOOK_MS) {
      world.passed += Math.min(LOOK_MS, ms - passed);
      for (const clock of clocks) await clock.measure();
    }
  };
  /** How far a program's time is from that which has passed. */
  const error = (clock: RedisClock): number => clock.now() - (START + world.passed);
  return { world, program, looks, error, redis, namespace };
}

async function running(count = 2) {
  const all = installation();
  const clocks = Array.from({ length: count }, () => all.program().clock);
  await all.looks(clocks, 20_000);
  return { ...all, clocks };
}

test.each([
  [600_000, 600_000],
  [31_000, 31_000],
  [-31_000, -31_000],
  [-600_000, -600_000],
  [86_400_000, 86_400_000],
  [600_000, 0],
  [-600_000, 0],
])(
  "a clock of Redis that is set by %i ms, and those of all machines by %i ms, moves no program's time and stops none",
  async (ms, machinesMs) => {
    const { world, looks, error, clocks, program } = await running();
    world.redisAhead = ms;
    world.machinesAhead = machinesMs;
    for (const clock of clocks) expect(error(clock)).toBe(0);
    await looks(clocks);
    const late = program().clock;
    await looks([...clocks, late], 30_000);
    for (const clock of [...clocks, late]) {
      expect(clock.isApart).toBe(false);
      // 30 s of what is made up for.
      expect(Math.abs(error(clock))).toBeLessThan(400);
      expect(clockProblems(clock)).toContainEqual({
        code: "clock-set",
        message: expect.stringContaining(ms > 0 ? "s forward" : "s back"),
      });
    }
    expect(Math.abs(error(late) - error(clocks[0] ?? late))).toBeLessThanOrEqual(1);
  },
);

test("a step is made up for at 36 s an hour, and then nothing is told any more", async () => {
  const { world, looks, error, program } = installation();
  const { clock } = program();
  const clocks = [clock];
  await looks(clocks, 20_000);
  [world.redisAhead, world.machinesAhead] = [36_000, 36_000];
  await looks(clocks, 1_800_000);
  expect(Math.abs(error(clock) - 18_000)).toBeLessThan(200);
  await looks(clocks, 1_800_000);
  expect(error(clock)).toBeGreaterThan(35_500);
  expect(clockProblems(clock)).toEqual([]);
});

test("a clock that is set right again is right at once", async () => {
  const { world, looks, error, clocks } = await running();
  world.redisAhead = 600_000;
  await looks(clocks, 20_000);
  world.redisAhead = 0;
  await looks(clocks, 20_000);
  for (const clock of clocks) {
    expect(Math.abs(error(clock))).toBeLessThan(500);
    expect(clockProblems(clock)).toEqual([]);
  }
});

test("a machine that slept while others went on has their time, and moves nobody else's", async () => {
  const { looks, error, clocks, program } = await running(1);
  const sleeper = program();
  await looks([...clocks, sleeper.clock], 20_000);
  await looks(clocks, 600_000);
  sleeper.asleep.ms = 600_000;
  await looks([...clocks, sleeper.clock]);
  for (const clock of [...clocks, sleeper.clock]) expect(error(clock)).toBe(0);
});

test("a program that starts just after a step takes what the others decide", async () => {
  const { world, looks, error, clocks, program } = await running();
  world.redisAhead = 600_000;
  const late = program().clock;
  await late.measure();
  await looks([late, ...clocks], 20_000);
  for (const clock of [late, ...clocks]) expect(Math.abs(error(clock))).toBeLessThan(500);
});

test("a Redis that has lost its data is told anew", async () => {
  const { world, looks, error, clocks, redis, namespace } = await running();
  world.redisAhead = 600_000;
  await looks(clocks, 20_000);
  await redis.unlink(`${namespace}:clock`);
  await looks(clocks, 20_000);
  for (const clock of clocks) expect(Math.abs(error(clock))).toBeLessThan(500);
});

test("a Redis that takes no writes tells the time, and no step moves anybody's", async () => {
  const service = await ownRedis();
  const redis = testRedis("command", service.url);
  const { world, looks, error, program } = installation(redis);
  const { clock } = program();
  await looks([clock], 20_000);
  await redis.config("SET", "min-replicas-to-write", "1");
  await looks([clock], 20_000);
  expect(error(clock)).toBe(0);
  world.redisAhead = 600_000;
  await looks([clock], 20_000);
  expect(error(clock)).toBe(0);
  await redis.config("SET", "min-replicas-to-write", "0");
  await looks([clock], 20_000);
  expect(Math.abs(error(clock))).toBeLessThan(500);
});
