/**
 * What an InvokeModelWithResponseStream has said so far. Every chunk is kept as the model sent it; text, usage and end
 * are read from it as from a whole body of its family, and of any other model the end and the usage that Bedrock adds.
 */
import type { Answer } from "@sluice/job";
import { z } from "zod";
import { isFilter, NO_STOP_REASON } from "./answered.ts";
import { errorIn } from "../failures/error-body.ts";
import type { Heard } from "./listen.ts";
import { readNative } from "./native-body.ts";
import { textTokens } from "../estimate/size.ts";
import type { Counts } from "./usage.ts";

type Chunk = NonNullable<Answer["body"]> | null;

export interface Chunks extends Heard {
  readonly text: string;
  readonly body: readonly Chunk[];
  readonly counts: Counts;
}

const eventSchema = z.object({ chunk: z.object({ bytes: z.instanceof(Uint8Array) }) });

export function createChunks(): Chunks {
  const body: Chunk[] = [];
  let said = "";
  let tokens = 0;
  let isOver = false;
  let awaitsEnd = false;
  let reason: string | undefined;
  let counts: Counts = {};
  /** Bedrock's metrics: no count of the model's own replaces them. */
  let metrics: Counts = {};
  return {
    body,
    get text() {
      return said;
    },
    get stopReason() {
      return isOver ? (reason ?? NO_STOP_REASON) : undefined;
    },
    get isOpenEnded() {
      return body.length > 0 && !awaitsEnd;
    },
    get counts() {
      return merged(counts, metrics);
    },
    get outputTokens() {
      return Math.ceil(tokens);
    },
    take: (event) => {
      const bytes = eventSchema.safeParse(event).data?.chunk.bytes;
      if (bytes === undefined) return "";
      const chunk: Chunk = JSON.parse(new TextDecoder().decode(bytes));
      const read = readNative(chunk);
      const error = errorOf(chunk);
      if (error !== undefined) throw error;
      body.push(chunk);
      said += read.text;
      tokens += textTokens(read.text + read.hidden);
      awaitsEnd ||= read.awaitsEnd;
      isOver ||= read.isOver;
      // What a filter has said stands: a model may go on to say that it has ended.
      if (reason === undefined || !isFilter(reason)) reason = read.reason ?? reason;
      if (hasMetrics(chunk)) metrics = merged(metrics, read.counts);
      else counts = merged(counts, read.counts);
      return read.text;
    },
  };
}

/** A model server's way of breaking off: a chunk with nothing but an error in it. */
function errorOf(chunk: Chunk): Error | undefined {
  // A lone message may be a piece of the answer.
  const mayBe = typeof chunk === "object" && chunk !== null && ("error" in chunk || "__type" in chunk);
  return mayBe ? errorIn(chunk, { native: true }) : undefined;
}

function hasMetrics(chunk: Chunk): boolean {
  return typeof chunk === "object" && chunk !== null && "amazon-bedrock-invocationMetrics" in chunk;
}

/** Counts as they are known after one more report. */
function merged(counts: Counts, later: Counts): Counts {
  return {
    input: later.input ?? counts.input,
    output: later.output ?? counts.output,
    total: later.total ?? counts.total,
    cacheRead: later.cacheRead ?? counts.cacheRead,
    cacheWrite: later.cacheWrite ?? counts.cacheWrite,
  };
}
