import { expect, test } from "vitest";
import { parsePools, PoolsFileError, type Problem } from "../src/index.ts";

const CLAUDE = "us.anthropic.claude-sonnet-4-6-v1:0";

interface Case {
  readonly scopes?: Record<string, object>;
  readonly a?: object;
  readonly b?: object;
}

/** Two pools of one model in one scope, unless the case says otherwise. Every entry has its own line. */
function problems({ scopes = { main: {} }, a = {}, b = {} }: Case): readonly Problem[] {
  const pool = { scope: "main", model: CLAUDE, quota: { tokensPerMinute: 1_000_000 } };
  const file = {
    scopes: Object.fromEntries(
      Object.entries(scopes).map(([name, keys]) => [name, { region: "us-east-1", ...keys }]),
    ),
    pools: { a: { ...pool, ...a }, b: { ...pool, ...b } },
  };
  try {
    parsePools(JSON.stringify(file, undefined, 1), "pools.yaml");
  } catch (error) {
    if (error instanceof PoolsFileError) return error.problems;
    throw error;
  }
  return [];
}

const profileArn = `arn:aws:bedrock:us-east-1:123456789012:inference-profile/${CLAUDE}`;
const applicationArn = (id: string) =>
  `arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/${id}`;
const twoAccounts = { main: { profile: "ours" }, other: { profile: "theirs" } };

test.each<[string, Case]>([
  ["two pools of one scope", {}],
  ["two scopes of one Region", { scopes: { main: {}, other: {} }, b: { scope: "other" } }],
  [
    "two scopes with the same credentials",
    { scopes: { main: { profile: "ours" }, other: { profile: "ours" } }, b: { scope: "other" } },
  ],
  ["a profile by its id and by its ARN", { b: { model: profileArn } }],
  [
    "a model by its id and by its ARN",
    {
      a: { model: "amazon.nova-pro-v1:0" },
      b: { model: "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-pro-v1:0" },
    },
  ],
  [
    "an application profile twice",
    {
      a: { model: applicationArn("x"), burndown: 5 },
      b: { model: applicationArn("x"), burndown: 5 },
    },
  ],
  ["shares of more than the whole", { a: { share: 0.6 }, b: { share: 0.6 } }],
  [
    "shares of figures that differ",
    { a: { share: 0.5 }, b: { share: 0.5, quota: { tokensPerMinute: 2_000_000 } } },
  ],
])("%s: counted twice", (_, given) => {
  const found = problems(given);
  expect(found.map(({ path }) => path)).toEqual(["pools.b.model"]);
  expect(found[0]?.message).toContain("`pools.a` draws on the same quota");
  expect(found[0]?.line).toBeGreaterThan(10);
});

test.each<[string, Case]>([
  ["different credentials", { scopes: twoAccounts, b: { scope: "other" } }],
  ["different Regions", { scopes: { main: {}, other: { region: "us-west-2" } }, b: { scope: "other" } }],
  ["a model on demand and through a profile", { b: { model: CLAUDE.replace("us.", "") } }],
  ["two profiles of a model", { b: { model: CLAUDE.replace("us.", "global.") } }],
  [
    "two application profiles",
    {
      a: { model: applicationArn("x"), burndown: 5 },
      b: { model: applicationArn("y"), burndown: 5 },
    },
  ],
  ["one quota divided", { a: { share: 0.7 }, b: { share: 0.3 } }],
])("%s: counted once", (_, given) => {
  expect(problems(given)).toEqual([]);
});

test("says what to do", () => {
  expect(problems({})[0]?.message).toMatch(
    /one pool with more lanes; or a scope of its own for another account; or divide the quota/,
  );
  const scopes = { main: {}, other: {} };
  expect(problems({ scopes, b: { scope: "other" } })[0]?.message).toContain("a `profile` for each scope");
});
