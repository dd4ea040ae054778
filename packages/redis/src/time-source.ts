/** Whom a program asks for the time that it shares with the others. */
import type { Redis } from "ioredis";
import { z } from "zod";
import { defineScript, type Script } from "./script.ts";

/** What one question is answered. */
export interface ToldTime {
  /** Redis's own time, milliseconds since the epoch, with fractions. */
  readonly redisMs: number;
  /** The shared time minus Redis's, milliseconds: what Redis's clock was set by while programs ran, and is not made up for. */
  readonly correctionMs: number;
  /** Redis's time when that was decided, 0 when it never was. */
  readonly decidedAtMs: number;
  /**
   * `known`: what the caller takes for the time is right, as far as can be told. `stepped`: Redis's clock was set, and that
   * is not taken out yet. `slept`: the caller's machine stood still while others went on.
   */
  readonly verdict: "known" | "stepped" | "slept";
}

export interface TimeQuestion {
  /** What the caller takes the shared time for, milliseconds since the epoch; `undefined` when it does not know it. */
  readonly reckonedMs: number | undefined;
  /** How long it has known, milliseconds. */
  readonly knownForMs: number;
  /** As told at the last question, 0 at the first. */
  readonly decidedAtMs: number;
  /** Redis's time at a question just before that was answered `stepped`: the step may be taken out now. */
  readonly steppedAtMs?: number | undefined;
}

export interface TimeSource {
  ask(question: TimeQuestion): Promise<ToldTime>;
}

/** Beyond this what Redis's clock moves against everybody's monotonic one is a step, and taken out. Milliseconds. */
export const STEP_MS = 30_000;

/** How much of a step is made up for per millisecond: 36 s an hour. A deadline comes sooner, or later, by so much of itself. */
const MADE_UP = 0.01;

/** A step is taken out within this time of the look that saw it, or seen anew. Milliseconds. */
const FRESH_MS = 5_000;

/** Programs look every five seconds, and a look may be late. Milliseconds. */
const LOOK_MS = 10_000;

const replySchema = z.tuple([
  z.coerce.number(),
  z.coerce.number(),
  z.coerce.number(),
  z.enum(["known", "stepped", "slept"]),
]);

const clock: Script<TimeQuestion & { key: string; givenMs: number | undefined }, ToldTime> = defineScript(
  new URL("../lua/clock.lua", import.meta.url),
  ({ key, reckonedMs, knownForMs, decidedAtMs, steppedAtMs, givenMs }) => ({
    keys: [key],
    argv: [
      reckonedMs ?? "",
      steppedAtMs ?? "",
      STEP_MS,
      MADE_UP,
      FRESH_MS,
      LOOK_MS,
      decidedAtMs,
      knownForMs,
      givenMs ?? "",
    ],
  }),
  (reply) => {
    const [redisMs, correctionMs, decidedAtMs, verdict] = replySchema.parse(reply);
    return { redisMs, correctionMs, decidedAtMs, verdict };
  },
);

/**
 * @param redis answers within a bounded time: a question's way there and back bounds the error.
 * @param namespace of the installation: all its programs share one time.
 * @param given Redis's time in its stead, for a test that sets it.
 */
export function timeSource(redis: Redis, namespace: string, given?: () => number): TimeSource {
  const key = `${namespace}:clock`;
  return { ask: async (question) => clock.run(redis, { ...question, key, givenMs: given?.() }) };
}
