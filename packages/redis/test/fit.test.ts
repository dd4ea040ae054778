/** What a program makes of what a server says of itself. */
import { describe, expect, test } from "vitest";
import { baselineOf, isUnfitting, serverProblems } from "../src/fit.ts";
import { parseServer } from "../src/server.ts";

const info = (fields: Record<string, string | number>): string =>
  ["# Server", ...Object.entries(fields).map(([name, value]) => `${name}:${value}`)].join("\r\n");

const server = (runId: string, evicted: number, aof = 1) =>
  parseServer(info({ run_id: runId, evicted_keys: evicted, aof_enabled: aof }));

const codes = (...looks: readonly ReturnType<typeof server>[]): string[][] => {
  let before: ReturnType<typeof server> | undefined;
  return looks.map((each) => {
    before = baselineOf(before, each);
    return serverProblems(each, before).map(({ code }) => code);
  });
};

describe("the version of a server", () => {
  test.each(["6.2.14", "5.0.7", "6.3.4", "2.8"])(
    "%s cannot run the scripts, and no program starts",
    (version) => {
      const problems = serverProblems(parseServer(info({ redis_version: version })));
      expect(problems).toMatchObject([{ code: "old", message: expect.stringContaining(version) }]);
      expect(problems.every(isUnfitting)).toBe(true);
    },
  );

  test.each(["7.0.0", "7.2.4", "8.0.1", "10.1", "255.255.255", "", "of my own"])("%s is taken", (version) => {
    expect(serverProblems(parseServer(info({ redis_version: version })))).toEqual([]);
    expect(serverProblems(parseServer(info({})))).toEqual([]);
  });
});

describe("keys that were dropped", () => {
  test("are told after a restart too, which counts from none", () => {
    expect(codes(server("a", 0), server("a", 9), server("b", 0), server("b", 1))).toEqual([
      [],
      ["evicted"],
      [],
      ["evicted"],
    ]);
    expect(codes(server("a", 50), server("b", 0), server("b", 1)).at(-1)).toEqual(["evicted"]);
  });

  test("before the program began are told for as long as that life of the server lasts", () => {
    expect(codes(server("a", 3), server("a", 3), server("a", 3))).toEqual([
      ["evicted"],
      ["evicted"],
      ["evicted"],
    ]);
  });

  test("are not those that another server had dropped before it took over", () => {
    expect(codes(server("a", 0), server("b", 0), server("b", 0)).flat()).toEqual([]);
    expect(serverProblems(server("b", 7), baselineOf(server("a", 0), server("b", 7)))).toEqual([]);
  });

  test("and a lost append-only file is one after a restart as well", () => {
    expect(codes(server("a", 0), server("b", 0, 0), server("b", 0, 0)).slice(1)).toEqual([
      ["persistence-lost"],
      ["persistence-lost"],
    ]);
  });
});
