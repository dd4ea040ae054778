import { describe, expect, test } from "vitest";
import { findModel, matchesPattern, parseModelName } from "../src/models/find.ts";

test.each([
  ["amazon.nova-pro-v1:0", "amazon.nova-pro-v1:0", "on-demand"],
  ["us.amazon.nova-pro-v1:0", "us.amazon.nova-pro-v1:0", "geo"],
  ["global.anthropic.claude-sonnet-5-v1:0", "global.anthropic.claude-sonnet-5-v1:0", "global"],
  [
    "arn:aws:bedrock:us-east-1:111122223333:inference-profile/us.amazon.nova-pro-v1:0",
    "us.amazon.nova-pro-v1:0",
    "geo",
  ],
])("reads %s", (label, id, pool) => {
  expect(parseModelName(label)).toEqual({ id, pool });
});

test.each([
  ["*amazon.nova*", "us.amazon.nova-pro-v1:0", true],
  ["*amazon.nova*", "us.amazon.titan", false],
  ["a*bc", "abc", true],
  ["ab*bc", "abc", false],
  ["*.*-5*", "us.x-4-5", true],
  ["exact", "exactly", false],
])("pattern %s on %s: %s", (pattern, id, expected) => {
  expect(matchesPattern(pattern, id)).toBe(expected);
});

describe("an entry", () => {
  test.each([
    ["us.anthropic.claude-sonnet-4-6-v1:0", 5],
    ["us.anthropic.claude-opus-4-8-v1:0", 15],
    ["global.anthropic.claude-sonnet-5-v1:0", 10],
    ["us.anthropic.claude-haiku-4-5-20251001-v1:0", 5],
    ["anthropic.claude-3-5-sonnet-20240620-v1:0", 5],
    ["us.amazon.nova-pro-v1:0", 1],
  ])("of %s has a burndown of %d", (id, burndown) => {
    expect(findModel({}, id, "us-east-1")?.burndown).toBe(burndown);
  });

  test("keeps the built-in figures it does not name", () => {
    const table = { "us.anthropic.claude-sonnet-4-6-v1:0": { tokensPerMinute: 7, latency: { sigma: 0 } } };
    expect(findModel(table, "us.anthropic.claude-sonnet-4-6-v1:0", "us-east-1")).toMatchObject({
      tokensPerMinute: 7,
      requestsPerMinute: 10_000,
      burndown: 5,
      latency: { tokensPerSecond: 70, sigma: 0 },
    });
  });

  test("may be bound to a Region", () => {
    const table = { "acme.model": { region: "eu-west-1", tokensPerMinute: 7 } };
    expect(findModel(table, "acme.model", "eu-west-1")?.tokensPerMinute).toBe(7);
    expect(findModel(table, "acme.model", "us-east-1")).toBeUndefined();
  });

  test.each([
    ["anthropic.claude-sonnet-4-6-v1:0", false],
    ["anthropic.claude-opus-4-8-v1:0", false],
    ["us.anthropic.claude-opus-4-8-v1:0", true],
    ["anthropic.claude-3-haiku-20240307-v1:0", true],
  ])("of %s: callable without a profile: %s", (id, onDemand) => {
    expect(findModel({}, id, "us-east-1")?.onDemand).toBe(onDemand);
  });

  test("needs no pattern: unknown ids are unknown", () => {
    expect(findModel({}, "nonsense", "us-east-1")).toBeUndefined();
    expect(findModel({}, "toString", "us-east-1")).toBeUndefined();
  });
});
