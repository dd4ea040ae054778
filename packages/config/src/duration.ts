/** Durations as operators write them: `30s`, `5m`, `24h`, or a plain number of milliseconds. */
import { z } from "zod";

const UNIT_MS = new Map([
  ["ms", 1],
  ["s", 1_000],
  ["m", 60_000],
  ["h", 3_600_000],
  ["d", 86_400_000],
]);

const DURATION = /^(\d{1,12})([a-z]{1,2})$/;

/** Milliseconds of a duration; `undefined` when the text is not one. */
export function parseDuration(text: string): number | undefined {
  const match = DURATION.exec(text);
  const unitMs = UNIT_MS.get(match?.[2] ?? "");
  return unitMs === undefined ? undefined : Number(match?.[1]) * unitMs;
}

/** A duration between two others, both included, as whole milliseconds. */
export function durationSchema(min: string, max: string) {
  const range = { min: parseDuration(min) ?? 0, max: parseDuration(max) ?? Infinity };
  const expected = `a duration from ${min} to ${max}, as '30s', '5m', '24h' or a number of milliseconds`;
  return z.union([z.string(), z.number()], expected).transform((given, context): number => {
    const ms = typeof given === "number" ? given : parseDuration(given);
    if (ms !== undefined && Number.isInteger(ms) && ms >= range.min && ms <= range.max) return ms;
    context.issues.push({ code: "custom", input: given, message: expected });
    return z.NEVER;
  });
}
