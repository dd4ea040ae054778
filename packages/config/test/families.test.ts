import { expect, test } from "vitest";
import { isOpaqueModel, modelFamily } from "../src/index.ts";

test.each([
  ["us.anthropic.claude-opus-4-8-v1:0", 15],
  ["anthropic.claude-sonnet-4-8", 15],
  ["global.anthropic.claude-sonnet-5-20260801-v1:0", 10],
  ["us.anthropic.claude-opus-5-v1:0", 10],
  ["us.anthropic.claude-opus-5-5-v1:0", 10],
  ["us.anthropic.claude-fable-5-1-v1:0", 10],
  ["eu.anthropic.claude-opus-4-7-v1:0", 5],
  ["us.anthropic.claude-sonnet-4-6-v1:0", 5],
  ["us.anthropic.claude-haiku-4-5-20251001-v1:0", 5],
  ["anthropic.claude-opus-4-20250514-v1:0", 5],
  ["anthropic.claude-3-7-sonnet-20250219-v1:0", 5],
  ["arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-opus-4-8-v1:0", 15],
  ["us.amazon.nova-pro-v1:0", 1],
  ["meta.llama3-70b-instruct-v1:0", 1],
])("%s burns %i", (model, burndown) => {
  expect(modelFamily(model).burndown).toBe(burndown);
});

test.each([
  ["anthropic.claude-3-haiku-20240307-v1:0", 4_096],
  ["anthropic.claude-3-5-sonnet-20241022-v2:0", 8_192],
  ["anthropic.claude-opus-4-1-20250805-v1:0", 32_000],
  ["anthropic.claude-opus-4-20250514-v1:0", 32_000],
  ["anthropic.claude-opus-4-6-v1:0", 64_000],
  ["anthropic.claude-3-7-sonnet-20250219-v1:0", 64_000],
  ["amazon.nova-lite-v1:0", 5_000],
  ["meta.llama3-70b-instruct-v1:0", 4_096],
])("%s writes up to %i tokens", (model, maxOutputTokens) => {
  expect(modelFamily(model).maxOutputTokens).toBe(maxOutputTokens);
});

test.each([
  ["us.anthropic.claude-sonnet-4-6-v1:0", false],
  ["arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-pro-v1:0", false],
  ["arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.amazon.nova-pro-v1:0", false],
  ["arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3", true],
  ["arn:aws:bedrock:us-east-1:123456789012:provisioned-model/a1b2c3", true],
])("%s hides its model: %s", (model, opaque) => {
  expect(isOpaqueModel(model)).toBe(opaque);
});
