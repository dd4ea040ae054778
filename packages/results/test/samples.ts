import type { Answer, Outcome } from "@sluice/job";

export const id = "p.bulk.01j9z3n4q5r6s7t8v9w0x1y2z3";

export const answer: Answer = {
  text: "Grüße",
  stopReason: "end_turn",
  model: "m",
  usage: { inputTokens: 10, outputTokens: 5, cacheReadTokens: 0, cacheWriteTokens: 0 },
  latencyMs: 12,
};

export const completed: Outcome = {
  id,
  tenant: "acme",
  acceptedAt: 1_000,
  endedAt: 2_000,
  attempts: 1,
  outcome: "completed",
  answer,
};

export const dead: Outcome = {
  id,
  tenant: "acme",
  acceptedAt: 1_000,
  endedAt: 2_000,
  attempts: 1,
  outcome: "dead",
  failure: { kind: "terminal", errorClass: "ValidationException", message: "no" },
};
