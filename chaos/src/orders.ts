/**
 * Jobs written straight into their lanes, as the API writes them: for scenarios of thousands of jobs, in which the API
 * has no part in what is looked at.
 */
import { JOB_DATA_VERSION, jobRequestSchema, newJobId, type JobData } from "@sluice/job";
import { encodePayload } from "@sluice/job/payload";
import type { Records } from "./records.ts";

/** The ways in which a text can be asked for: the kind of the job and, of `invoke`, whether it streams. */
export type Shape = "converse" | "stream" | "invoke" | "invoke-stream";

export const SHAPES: readonly Shape[] = ["converse", "stream", "invoke", "invoke-stream"];
export const STREAMED: readonly Shape[] = ["stream", "invoke-stream"];

export interface Order {
  readonly pool: string;
  readonly lane: string;
  readonly shape: Shape;
  readonly text: string;
  readonly maxTokens: number;
  /** From now on, milliseconds. */
  readonly deadlineMs: number;
  readonly maxAttempts: number;
}

/** Resolves to the job's id: from then on it is a promise. */
export async function enqueue(records: Records, order: Order): Promise<string> {
  const { pool, lane, deadlineMs, maxAttempts } = order;
  const now = Date.now();
  const id = newJobId(pool, lane, now);
  const { kind, request } = jobRequestSchema.parse(requestOf(order));
  const job: JobData = {
    version: JOB_DATA_VERSION,
    tenant: "default",
    id,
    pool,
    lane,
    kind,
    payload: await encodePayload(request),
    acceptedAt: now,
    deadlineAt: now + deadlineMs,
    maxAttempts,
  };
  await records.lane(pool, lane).add(job);
  return id;
}

function requestOf({ shape, text, maxTokens }: Order): object {
  if (shape === "converse" || shape === "stream") {
    return { kind: shape, request: { messages: [{ role: "user", content: [{ text }] }], maxTokens } };
  }
  const messages = [{ role: "user", content: text }];
  const body = { anthropic_version: "bedrock-2023-05-31", max_tokens: maxTokens, messages };
  return { kind: "invoke", request: { body, maxTokens, stream: shape === "invoke-stream" } };
}
