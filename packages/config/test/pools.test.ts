import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parsePools, PoolsFileError, readPools, type Problem } from "../src/index.ts";
import { poolKeysSchema } from "../src/schema.ts";

const SMALLEST = `
scopes:
  main: { region: us-east-1 }
pools:
  claude:
    scope: main
    model: us.anthropic.claude-sonnet-4-6-v1:0
    quota: { tokensPerMinute: 6000000 }
`;

function problems(text: string): readonly Problem[] {
  try {
    parsePools(text, "pools.yaml");
  } catch (error) {
    if (error instanceof PoolsFileError) return error.problems;
    throw error;
  }
  return [];
}

/** The smallest good file with further keys in its pool, or other values for those it has. */
function withKeys(keys: Record<string, unknown>): string {
  const pool = {
    scope: "main",
    model: "us.anthropic.claude-sonnet-4-6-v1:0",
    quota: { tokensPerMinute: 6_000_000 },
    ...keys,
  };
  return JSON.stringify({ scopes: { main: { region: "us-east-1" } }, pools: { claude: pool } });
}

describe("a good file", () => {
  test("gets every default", () => {
    expect(parsePools(SMALLEST, "pools.yaml")).toEqual({
      scopes: { main: { name: "main", region: "us-east-1", profile: null, tokensPerDay: null } },
      pools: {
        claude: {
          name: "claude",
          scope: "main",
          model: "us.anthropic.claude-sonnet-4-6-v1:0",
          quota: { tokensPerMinute: 6_000_000, requestsPerMinute: null },
          burndown: 5,
          maxOutputTokens: 64_000,
          defaultMaxTokens: 1_024,
          lanes: ["critical", "standard", "bulk"],
          laneSettings: { critical: {}, standard: {}, bulk: {} },
          slots: 32,
          deadlineMs: 86_400_000,
          share: 1,
          maxWaitingBytes: 1_073_741_824,
          fallback: [],
          serviceTiers: {},
          filteredMessage: null,
          asyncOutputs: [],
          cacheMs: null,
          maxAttempts: 5,
          callTimeoutMs: 120_000,
          streamSilenceMs: 60_000,
          maxWaiting: 100_000,
        },
      },
      warnings: expect.any(Array),
    });
  });

  test("keeps what it says", () => {
    const keys = {
      quota: { tokensPerMinute: 1_000_000, requestsPerMinute: 500 },
      burndown: 15,
      maxOutputTokens: 8_000,
      defaultMaxTokens: 300,
      lanes: ["now", "later"],
      slots: 4,
      maxAttempts: 2,
      maxWaiting: 10,
    };
    const text = withKeys({ ...keys, deadline: "30m", callTimeout: 45_000 });
    expect(parsePools(text, "pools.json").pools["claude"]).toMatchObject({
      ...keys,
      deadlineMs: 1_800_000,
      callTimeoutMs: 45_000,
    });
  });

  test("writes no more than its model can when it names no `defaultMaxTokens`", () => {
    expect(parsePools(withKeys({ maxOutputTokens: 200 }), "").pools["claude"]?.defaultMaxTokens).toBe(200);
  });

  test.each([
    { quota: { tokensPerMinute: 1_000_000, requestsPerMinute: 1 } },
    { quota: { tokensPerMinute: 1_041 }, defaultMaxTokens: 1_024 },
    { quota: { tokensPerMinute: 2 }, maxOutputTokens: 1, pace: 1 },
  ])("may have the smallest quotas: %j", (keys) => {
    expect(parsePools(withKeys(keys), "").pools["claude"]).toMatchObject({ name: "claude" });
  });

  test("finds nothing under names that every object has", () => {
    const { pools, scopes } = parsePools(SMALLEST, "");
    expect([pools["constructor"], scopes["toString"]]).toEqual([undefined, undefined]);
  });

  test.each([
    ["1s", 1_000],
    ["5000ms", 5_000],
    ["90m", 5_400_000],
    ["24h", 86_400_000],
    ["7d", 604_800_000],
    [1_500, 1_500],
  ])("reads a deadline of %s", (deadline, deadlineMs) => {
    const text = withKeys({ deadline, callTimeout: "1s" });
    expect(parsePools(text, "").pools["claude"]?.deadlineMs).toBe(deadlineMs);
  });
});

test("whatever a key holds, the sentence names the key, the rule and what is there, in our words", () => {
  const values = [
    Number.NaN,
    Number.POSITIVE_INFINITY,
    -1,
    0.5,
    "x",
    "",
    true,
    [],
    {},
    [Number.NaN],
    { x: Number.NaN },
  ];
  for (const key of Object.keys(poolKeysSchema.shape)) {
    for (const value of values) {
      // As YAML writes them; JSON cannot.
      const text = withKeys({ [key]: "VALUE" }).replace('"VALUE"', yamlOf(value));
      for (const { message } of problems(text)) {
        expect(message).toMatch(/^Expected /);
        expect(message).not.toMatch(/Invalid|received|expected/);
        expect(message).not.toMatch(/got null/);
      }
    }
  }
});

function yamlOf(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === "number" && !Number.isFinite(inner) ? `<${inner}>` : inner,
  )
    .replaceAll('"<NaN>"', ".nan")
    .replaceAll('"<Infinity>"', ".inf");
}

describe("one problem", () => {
  const SCOPE_RULE = "one of the scopes of this file (main)";
  test.each<[string, Record<string, unknown>, string, string]>([
    [
      "unknown key",
      { slot: 3 },
      "slot",
      "Expected `pools.claude.slot` not to be there: the keys are scope, ",
    ],
    [
      "unknown quota key",
      { quota: { tokensPerMinute: 9e6, tpm: 1 } },
      "quota.tpm",
      "the keys are tokensPerMinute, ",
    ],
    [
      "unknown scope",
      { scope: "other" },
      "scope",
      `Expected \`pools.claude.scope\` to be ${SCOPE_RULE}, got "other"`,
    ],
    ["scope of every object", { scope: "constructor" }, "scope", SCOPE_RULE],
    [
      "no model",
      { model: undefined },
      "model",
      "to be the id or ARN of a model or inference profile, got nothing",
    ],
    ["a model with a blank", { model: "claude sonnet" }, "model", 'got "claude sonnet"'],
    ["no quota", { quota: undefined }, "quota", "to be a mapping of keys to values, got nothing"],
    ["no tokens", { quota: {} }, "quota.tokensPerMinute", "a whole number from 1 to"],
    [
      "half a request",
      { quota: { tokensPerMinute: 9e6, requestsPerMinute: 0.5 } },
      "quota.requestsPerMinute",
      "got 0.5",
    ],
    ["zero slots", { slots: 0 }, "slots", "to be a whole number from 1 to 10000, got 0"],
    ["slots in words", { slots: "many" }, "slots", 'got "many"'],
    ["same lane twice", { lanes: ["a", "b", "a"] }, "lanes", "different lane names"],
    ["no lanes", { lanes: [] }, "lanes", "1 to 16 different lane names"],
    ["lane with a dot", { lanes: ["a.b"] }, "lanes.0", "lower case letters, digits or inner hyphens"],
    ["burndown below one", { burndown: 0 }, "burndown", "a number from 1 to 100"],
    ["too many attempts", { maxAttempts: 1000 }, "maxAttempts", "from 1 to 100"],
    ["nothing may wait", { maxWaiting: 0 }, "maxWaiting", "a whole number from 1"],
    ["deadline without unit", { deadline: "30" }, "deadline", "a duration from 1s to 30d"],
    ["deadline in weeks", { deadline: "2w" }, "deadline", "a duration from 1s to 30d"],
    ["deadline beyond the range", { deadline: "31d" }, "deadline", 'got "31d"'],
    ["negative time-out", { callTimeout: -1 }, "callTimeout", "a duration from 1s to 60m"],
    ["endless time-out", { callTimeout: Infinity }, "callTimeout", "a duration from 1s to 60m"],
    ["no share at all", { share: 0 }, "share", "a fraction above 0 and at most 1"],
    ["fallback to nowhere", { fallback: ["nova"] }, "fallback", "other pools of this file (there is none)"],
    ["fallback to itself", { fallback: ["claude"] }, "fallback", "other pools of this file"],
    ["tier of no lane", { serviceTiers: { vip: "priority" } }, "serviceTiers", "lanes of this pool"],
    [
      "no such tier",
      { serviceTiers: { bulk: "slow" } },
      "serviceTiers.bulk",
      "default, priority, flex, reserved",
    ],
    ["empty filtered message", { filteredMessage: "" }, "filteredMessage", "a text of 1 to 2000 characters"],
    ["an output that is no place in S3", { asyncOutputs: ["/tmp"] }, "asyncOutputs.0", "S3 prefixes"],
    ["an output as a text", { asyncOutputs: "s3://answers" }, "asyncOutputs", "a list of at most 16"],
    ["cache without end", { cache: "8d" }, "cache", "a duration from 1s to 7d"],
    ["fewer slots than lanes", { slots: 2 }, "slots", "at least one for each lane"],
    [
      "time-out after the deadline",
      { deadline: "1m", callTimeout: "2m" },
      "callTimeout",
      "no longer than `deadline`",
    ],
    [
      "default above the bound",
      { maxOutputTokens: 100, defaultMaxTokens: 101 },
      "defaultMaxTokens",
      "`maxOutputTokens`",
    ],
    [
      "default above the model",
      { defaultMaxTokens: 64_001 },
      "defaultMaxTokens",
      "no more than `maxOutputTokens`",
    ],
    ["default above the quota", { quota: { tokensPerMinute: 1_024 } }, "defaultMaxTokens", "could never run"],
    [
      "burndown of an unknown model",
      { model: "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc" },
      "burndown",
      "set, because this ARN does not say which model answers",
    ],
  ])("%s", (_, keys, path, message) => {
    const text = withKeys(keys).replaceAll("null", ".inf");
    const found = problems(text);
    expect(found).toHaveLength(1);
    expect(found[0]).toMatchObject({ path: `pools.claude.${path}`, line: 1 });
    expect(found[0]?.message).toContain(message);
  });

  test.each([
    ["empty file", "", "", "Expected the file to be a mapping of keys to values, got null"],
    ["a list", "[]", "", "Expected the file to be a mapping"],
    ["no pools", "scopes: { main: { region: us-east-1 } }", "pools", "at least one entry, got nothing"],
    [
      "empty pools",
      "scopes: { main: { region: us-east-1 } }\npools: {}",
      "pools",
      "at least one entry, got {}",
    ],
    ["unknown section", `${SMALLEST}lanes: []`, "lanes", "not to be there: the keys are scopes, pools"],
    ["a pool that is nothing", SMALLEST.replace(/claude:[^]*/, "claude:"), "pools.claude", "to be a mapping"],
    ["pool name", SMALLEST.replace("claude:\n", "Claude_1:\n"), "pools.Claude_1", "lower case letters"],
    ["region", SMALLEST.replace("us-east-1", "virginia"), "scopes.main.region", "an AWS Region"],
    [
      "day quota",
      SMALLEST.replace("us-east-1", "us-east-1, tokensPerDay: 500"),
      "pools.claude.defaultMaxTokens",
      "tokensPerDay",
    ],
    ["key twice", `${SMALLEST}    scope: main`, "", "Expected YAML or JSON: Map keys must be unique"],
    ["two documents", `${SMALLEST}---\n{}`, "", "Expected YAML or JSON"],
    ["not YAML", "pools: [", "", "Expected YAML or JSON"],
  ])("%s", (_, text, path, message) => {
    const found = problems(text);
    expect(found.map((problem) => problem.path)).toEqual([path]);
    expect(found[0]?.message).toContain(message);
  });
});

test("reports everything at once, with lines, in the order of the file", () => {
  const text = `
scopes:
  Main: { region: nowhere, endpoint: here }
pools:
  claude:
    scope: elsewhere
    model: us.anthropic.claude-sonnet-4-6-v1:0
    quota:
      tokensPerMinute: lots
    slots: 0
    deadline: 1s
    colour: red
  nova:
    scope: Main
    model: us.amazon.nova-pro-v1:0
    quota: { tokensPerMinute: 1000 }
    lanes:
      - a
      - B
`;
  expect(problems(text).map(({ line, path }) => `${line} ${path}`)).toEqual([
    "3 scopes.Main",
    "3 scopes.Main.region",
    "3 scopes.Main.endpoint",
    "5 pools.claude.callTimeout",
    "6 pools.claude.scope",
    "9 pools.claude.quota.tokensPerMinute",
    "10 pools.claude.slots",
    "12 pools.claude.colour",
    "13 pools.nova.defaultMaxTokens",
    "19 pools.nova.lanes.1",
  ]);
  expect(() => parsePools(text, "etc/pools.yaml")).toThrow(
    /^Expected etc\/pools\.yaml to be a pools file, found 10 problems:\n {2}- line 3: Expected the name `scopes\.Main`/,
  );
});

describe("from disk", () => {
  test("reads a file, and says which one it could not read", async () => {
    const folder = await mkdtemp(join(tmpdir(), "pools-"));
    try {
      await writeFile(join(folder, "pools.yaml"), SMALLEST);
      expect(Object.keys((await readPools(join(folder, "pools.yaml"))).pools)).toEqual(["claude"]);
      await expect(readPools(join(folder, "none.yaml"))).rejects.toMatchObject({
        code: "POOLS_FILE",
        message: expect.stringContaining("ENOENT"),
      });
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

describe("a file of another kind, which may hold secrets", () => {
  test.each([
    ["variables", "AWS_SECRET_ACCESS_KEY=hunter2\nDB_PASSWORD=hunter2\n"],
    ["a list", "- password: hunter2\n"],
    ["text for its sections", "scopes: redis://:hunter2@host\npools:\n  - password: hunter2\n"],
    ["text for a scope", `scopes: {main: "hunter2"}\npools: {nova: "hunter2"}\n`],
    ["broken YAML", `a: !hunter2 b\nc: "d" hunter2 "e"\n- hunter2: [}\n`],
    ["tokens out of place", `"%s" : \u0001hunter2\n"hunter2" "hunter2": : hunter2\n`],
    ["a tag of its own", "%TAG ! hunter2\n---\na: !x!hunter2 b\n"],
  ])("%s: its content is not shown", (_name, text) => {
    expect(() => parsePools(text, "pools.yaml")).toThrow(PoolsFileError);
    expect(() => parsePools(text, "pools.yaml")).toThrow(expect.not.stringContaining("hunter2"));
  });

  test("no more than twenty problems are told, and how many more there are", () => {
    const text = Array.from({ length: 460 }, (_, index) => `${"k".repeat(80)}${index}: 1`).join("\n");
    const found = (() => {
      try {
        return parsePools(text, "pools.yaml");
      } catch (error) {
        return error;
      }
    })();
    if (!(found instanceof PoolsFileError)) throw new Error("Expected a PoolsFileError");
    expect(found.problems).toHaveLength(462);
    expect(found.message.split("\n")).toHaveLength(22);
    expect(found.message).toMatch(/found 462 problems:\n[^]*\n {2}- and 442 more$/);
    expect(found.message.length).toBeLessThan(4_000);
  });
});
