import { expect, test } from "vitest";
import { parsePools } from "../src/index.ts";

const SCOPES = { main: { region: "us-east-1" } };

function warningsOf(keys: object, scopes: object = SCOPES) {
  const pool = {
    scope: "main",
    model: "us.anthropic.claude-sonnet-4-6-v1:0",
    quota: { tokensPerMinute: 1_000_000 },
    ...keys,
  };
  return parsePools(JSON.stringify({ scopes, pools: { claude: pool } }, undefined, 1), "pools.yaml").warnings;
}

test("a timeout that cannot hold `maxOutputTokens` is told with its place and both figures", () => {
  expect(warningsOf({ callTimeout: "50m", maxOutputTokens: 64_000 })).toEqual([
    {
      path: "pools.claude.callTimeout",
      line: 14,
      message: expect.stringMatching(/3000 s .* write 12000 tokens .* `maxOutputTokens` is 64000/),
    },
  ]);
});

test("a timeout that holds it is no matter", () => {
  expect(warningsOf({ callTimeout: "5m", maxOutputTokens: 64_000 })).toEqual([]);
  expect(warningsOf({ maxOutputTokens: 4_000 })).toEqual([]);
});

test("scopes of one account in one Region that count its day apart are told", () => {
  const main = { region: "us-east-1", tokensPerDay: 1_000_000 };
  const quiet = { maxOutputTokens: 1_000 };
  expect(warningsOf(quiet, { main, spare: { region: "us-east-1" } })).toMatchObject([
    { path: "scopes.main.tokensPerDay", message: expect.stringContaining("`scopes.spare`") },
  ]);
  expect(warningsOf(quiet, { main, spare: { region: "us-east-1", profile: "other" } })).toEqual([]);
  expect(warningsOf(quiet, { main, spare: { region: "us-west-2" } })).toEqual([]);
});

test("a Region of the right form that is not known is told: it may be new, or a slip", () => {
  const quiet = { maxOutputTokens: 1_000 };
  expect(warningsOf(quiet, { main: { region: "us-esat-1" } })).toMatchObject([
    { path: "scopes.main.region", line: 4, message: expect.stringContaining("'us-esat-1'") },
  ]);
  expect(warningsOf(quiet, { main: { region: "ap-southeast-7" } })).toEqual([]);
});

test.each(["xx-nowhere-1", "us-east", "us-east-1a", "us-east-12", "US-EAST-1", "europe-west1"])(
  "a Region such as %s is none",
  (region) => {
    expect(() => warningsOf({}, { main: { region } })).toThrow("an AWS Region such as us-east-1");
  },
);
