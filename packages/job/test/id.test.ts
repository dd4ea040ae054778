import { glob, readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import * as fc from "fast-check";
import { afterEach, describe, expect, test, vi } from "vitest";
import { lifeOf, newJobId, parseJobId, replayId } from "../src/index.ts";

const name = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,46}[a-z0-9])?$/);
/** Any time but the epoch itself, which `ulid` takes for "now". */
const time = fc.integer({ min: 1, max: 2 ** 48 - 1 });
/** [0, 1), as `Math.random` gives it. */
const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const ULID = "01j9z3n4q5r6s7t8v9w0x1y2z3";

describe("newJobId", () => {
  test("makes ids that say where and when the job was accepted", () => {
    fc.assert(
      fc.property(name, name, time, chance, (pool, lane, now, random) => {
        const id = newJobId(pool, lane, now, () => random);
        expect(parseJobId(id)).toEqual({ pool, lane, ulid: id.slice(-26), acceptedAt: now, replay: 0 });
      }),
    );
  });

  test("makes ids of one lane sort by time", () => {
    fc.assert(
      fc.property(time, time, chance, chance, (a, b, first, second) => {
        fc.pre(a < b);
        expect(newJobId("p", "l", a, () => first) < newJobId("p", "l", b, () => second)).toBe(true);
      }),
    );
  });

  test("makes ids that BullMQ takes: no colon, not a number", () => {
    fc.assert(
      fc.property(name, name, time, (pool, lane, now) => {
        expect(newJobId(pool, lane, now, () => 0.5)).toMatch(/^[^:]*[a-z.][^:]*$/);
      }),
    );
  });
});

describe("randomness", () => {
  afterEach(() => vi.restoreAllMocks());

  test("of ids is the system's: whoever knows or sets that of `Math.random` gets no id twice", () => {
    const used = vi.spyOn(Math, "random").mockReturnValue(0.5);
    const ids = Array.from({ length: 1_000 }, () => newJobId("p", "l", 1));
    expect(new Set(ids).size).toBe(1_000);
    expect(used).not.toHaveBeenCalled();
  });

  test("fills all 80 bits: every character takes every value", () => {
    const tails = Array.from({ length: 2_000 }, () => newJobId("p", "l", 1).slice(-16));
    for (let place = 0; place < 16; place += 1) {
      expect(new Set(tails.map((tail) => tail[place])).size).toBe(32);
    }
  });

  test("that can be foretold spreads waits, and nothing else", async () => {
    const root = new URL("../../../", import.meta.url);
    const found: string[] = [];
    for await (const file of glob("{apps,packages}/**/src/**/*.ts", {
      cwd: fileURLToPath(root),
      exclude: (entry) => entry === "node_modules",
    })) {
      const text = await readFile(new URL(file, root), "utf8");
      if (text.includes("Math.random")) found.push(file);
    }
    expect(found.toSorted()).toEqual([
      "apps/worker/src/pool.ts",
      "apps/worker/src/replays.ts",
      "apps/worker/src/worker.ts",
      "packages/dead-letter/src/dynamodb/client.ts",
      "packages/dead-letter/src/engine.ts",
      "packages/dead-letter/src/store.ts",
      "packages/job/src/rounds.ts",
    ]);
  });
});

describe("replayId", () => {
  test("names the n-th replay of a job, also when asked of a replay", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 999_999_999 }), fc.integer({ min: 1, max: 99 }), (n, earlier) => {
        const id = newJobId("p", "bulk", 1_000, () => 0.5);
        expect(replayId(replayId(id, earlier), n)).toBe(replayId(id, n));
        expect(parseJobId(replayId(id, n))).toEqual({ ...parseJobId(id), replay: n });
      }),
    );
  });
});

describe("lifeOf", () => {
  test("tells a job from its replays, whoever issued the id", () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), fc.integer({ min: 1, max: 999_999_999 }), (text, replay) => {
        const { id } = lifeOf(text.replaceAll("\n", ""));
        fc.pre(id !== "");
        expect(lifeOf(`${id}.r${replay}`)).toEqual({ id, replay });
        expect(replayId(`${id}.r${replay}`, 0)).toBe(id);
      }),
    );
    expect(lifeOf("1108")).toEqual({ id: "1108", replay: 0 });
    expect(lifeOf("1108.r0")).toEqual({ id: "1108.r0", replay: 0 });
  });
});

describe("parseJobId", () => {
  test.each([
    ["empty", ""],
    ["a number", "17"],
    ["no lane", `pool.${ULID}`],
    ["one part too many", `a.b.c.${ULID}`],
    ["upper case", `pool.lane.${ULID.toUpperCase()}`],
    ["an unknown letter in the ulid", `pool.lane.${ULID.replace("q", "u")}`],
    ["a time beyond 48 bits", `pool.lane.8${ULID.slice(1)}`],
    ["a short ulid", `pool.lane.${ULID.slice(1)}`],
    ["a name with an outer hyphen", `-pool.lane.${ULID}`],
    ["a name that is too long", `${"p".repeat(49)}.lane.${ULID}`],
    ["replay 0", `pool.lane.${ULID}.r0`],
    ["a replay with a leading zero", `pool.lane.${ULID}.r01`],
    ["text after it", `pool.lane.${ULID}\n`],
    ["a key separator", `pool:lane.${ULID}`],
  ])("refuses an id with %s", (_what, id) => {
    expect(parseJobId(id)).toBeUndefined();
  });

  test("never throws, whatever it is given", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(() => parseJobId(text)).not.toThrow();
      }),
    );
  });
});
