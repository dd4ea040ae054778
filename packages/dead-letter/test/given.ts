/** What tests start from: deaths to put into stores, clocks, names of their own. */
import { randomBytes } from "node:crypto";
import { gzipSync } from "node:zlib";
import { newJobId, type JobData } from "@sluice/job";
import type { Death } from "../src/index.ts";

/** 2026-01-01, so that times in failures read as such. */
export const T0 = Date.UTC(2026, 0, 1);

/** A death of a new job, with whatever is given put in place. */
export function death(given: Partial<Omit<Death, "data">> & { data?: Partial<JobData> } = {}): Death {
  const { data, ...rest } = given;
  const pool = data?.pool ?? "claude";
  const lane = data?.lane ?? "standard";
  return {
    failure: {
      kind: "terminal",
      errorClass: "ValidationException",
      message: "The input is too long",
      status: 400,
    },
    attempts: 3,
    stalls: 0,
    diedAt: T0,
    ...rest,
    data: {
      version: 1,
      id: newJobId(pool, lane, T0),
      tenant: "acme",
      pool,
      lane,
      kind: "converse",
      payload: requestPayload("Summarise this"),
      acceptedAt: T0 - 60_000,
      deadlineAt: T0 + 60_000,
      maxAttempts: 3,
      ...data,
    },
  };
}

/** A request with one user message. */
export function requestPayload(text: string): JobData["payload"] {
  return { encoding: "json", json: JSON.stringify(request(text)) };
}

/** A request that does not compress, as a job carries it. */
export function incompressiblePayload(bytes: number): JobData["payload"] {
  const json = JSON.stringify(request(randomBytes(bytes).toString("base64")));
  return { encoding: "gzip", base64: gzipSync(json).toString("base64") };
}

function request(text: string) {
  return { messages: [{ role: "user", content: [{ text }] }], maxTokens: 100 };
}

export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;

/** A clock that a test sets. */
export function clockAt(start: number) {
  let time = start;
  return { now: () => time, advance: (ms: number) => void (time += ms) };
}

/** A name of its own for each test, so that tests share a table and still count alone. */
export function tenantOf(test: string) {
  return `${test}-${Math.random().toString(36).slice(2, 10)}`;
}
