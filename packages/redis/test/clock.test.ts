/** The shared time on machines whose clocks are wrong, and are set while a process runs. */
import { describe, expect, test } from "vitest";
import { RedisClock, type ToldTime } from "../src/index.ts";

const START = 1_790_000_000_000;

/** A machine and a Redis, each with a clock, and a way between them that takes time. */
class World {
  passed = 5_000;
  machineAhead = 0;
  redisAhead = 0;
  /** Milliseconds there, and back. */
  way: readonly [number, number] = [1, 1];
  asked = 0;
  told: Omit<ToldTime, "redisMs"> = { correctionMs: 0, decidedAtMs: 0, verdict: "known" };

  readonly clock = new RedisClock({
    machine: () => START + this.passed + this.machineAhead,
    monotonic: () => this.passed,
    source: {
      ask: async () => {
        this.asked += 1;
        this.passed += this.way[0];
        const redisMs = START + this.passed + this.redisAhead;
        this.passed += this.way[1];
        return { ...this.told, redisMs };
      },
    },
  });

  get redisNow(): number {
    return START + this.passed + this.redisAhead;
  }

  get error(): number {
    return this.clock.now() - this.redisNow;
  }

  async measureAfter(ms: number): Promise<void> {
    this.passed += ms;
    await this.clock.measure();
  }
}

describe("the shared time", () => {
  test.each([65_000, 20_000, -20_000, -3_600_000])(
    "is Redis's on a machine that is %i ms ahead",
    async (ms) => {
      const world = new World();
      world.machineAhead = ms;
      await world.clock.measure();
      world.passed += 1_000;
      expect(Math.abs(world.error)).toBeLessThanOrEqual(1);
      expect(Math.abs(world.clock.skewMs - ms)).toBeLessThanOrEqual(1);
    },
  );

  test("is the machine's until it is known", () => {
    const world = new World();
    world.machineAhead = 7_000;
    expect(world.clock.isMeasured).toBe(false);
    expect(world.error).toBe(7_000);
  });

  test("costs no question", async () => {
    const world = new World();
    await world.clock.measure();
    const { asked } = world;
    for (let read = 0; read < 100; read += 1) world.clock.now();
    expect(world.asked).toBe(asked);
  });

  test("does not move when the machine's clock is set", async () => {
    const world = new World();
    await world.clock.measure();
    for (const ahead of [-3_600_000, 3_600_000, 10_000]) {
      world.machineAhead = ahead;
      expect(Math.abs(world.error)).toBeLessThanOrEqual(1);
      await world.measureAfter(5_000);
      expect(Math.abs(world.error)).toBeLessThanOrEqual(1);
    }
  });

  test("goes by the question with the shortest way", async () => {
    const world = new World();
    await world.clock.measure();
    world.way = [300, 10];
    for (let asked = 0; asked < 5; asked += 1) await world.measureAfter(5_000);
    expect(Math.abs(world.error)).toBeLessThanOrEqual(2);
  });

  test("follows a Redis whose clock was set by less than a step, at the next question", async () => {
    const world = new World();
    await world.clock.measure();
    for (const [machine, redis] of [
      [0, 5_000],
      [-20_000, -20_000],
      [0, 0],
    ] as const) {
      [world.machineAhead, world.redisAhead] = [machine, redis];
      world.way = [40, 200];
      await world.measureAfter(5_000);
      expect(Math.abs(world.error)).toBeLessThanOrEqual(81);
    }
  });

  test("stands still instead of going back a little", async () => {
    const world = new World();
    world.way = [0, 800];
    await world.clock.measure();
    const before = world.clock.now();
    world.way = [1, 1];
    await world.measureAfter(10);
    expect(world.clock.now()).toBeGreaterThanOrEqual(before);
    world.passed += 1_000;
    expect(Math.abs(world.error)).toBeLessThanOrEqual(1);
  });
});

describe("clocks that differ", () => {
  test("are told from a second on, and over when they are well below", async () => {
    const world = new World();
    const told: boolean[] = [];
    for (const ahead of [0, 900, 1_100, 950, 900, 700, 950]) {
      world.machineAhead = ahead;
      await world.measureAfter(5_000);
      told.push(world.clock.isSkewed);
    }
    expect(told).toEqual([false, false, true, true, true, false, false]);
    expect(world.clock.isApart).toBe(false);
  });

  test("are apart beyond half a minute, until they are not", async () => {
    const world = new World();
    await world.clock.measure();
    world.machineAhead = -31_000;
    await world.measureAfter(5_000);
    expect(world.clock.isApart).toBe(true);
    let together = false;
    const waiting = world.clock.together(new AbortController().signal).then(() => (together = true));
    world.machineAhead = -28_000;
    await world.measureAfter(5_000);
    expect([world.clock.isApart, together]).toEqual([true, false]);
    world.machineAhead = 0;
    await world.measureAfter(5_000);
    await waiting;
    expect([world.clock.isApart, together]).toEqual([false, true]);
  });

  test("who waits for them leaves when it is told to", async () => {
    const world = new World();
    world.machineAhead = 65_000;
    await world.clock.measure();
    const leaving = new AbortController();
    const waiting = world.clock.together(leaving.signal);
    leaving.abort();
    await waiting;
    expect(world.clock.isApart).toBe(true);
  });

  test("a Redis that jumps far does not take the time with it until the machine agrees", async () => {
    const world = new World();
    await world.clock.measure();
    world.redisAhead = 600_000;
    await world.measureAfter(5_000);
    expect(world.clock.isApart).toBe(true);
    expect(Math.abs(world.error + 600_000)).toBeLessThanOrEqual(1);
    world.machineAhead = 600_000;
    await world.measureAfter(5_000);
    expect(world.clock.isApart).toBe(false);
    expect(Math.abs(world.error)).toBeLessThanOrEqual(1);
  });
});
