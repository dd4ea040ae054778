/** A search as it stands in the URL, and as the store answers it. */
import { deadLetterStateSchema, type Grouping, type Letter, type LetterSearch } from "@sluice/dead-letter";
import { nameSchema, tenantSchema } from "@sluice/job";
import type { Pools } from "@sluice/config";
import { z } from "zod";
import { Refused } from "../refusal.ts";

/** A field that was left empty is not there. */
function optional<T extends z.ZodType>(schema: T) {
  return z.preprocess((value) => (value === "" ? undefined : value), schema.optional());
}

/** As a browser's `datetime-local` writes it; the page asks for UTC. */
const time = z
  .string()
  .regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,3})?)?Z?$/, "a time such as 2026-01-31T09:00, in UTC")
  .transform((text) => Date.parse(text.endsWith("Z") ? text : `${text}Z`))
  .refine((ms) => Number.isFinite(ms), "a time that exists");

const states = z.preprocess(
  (value) => (typeof value === "string" ? [value] : value),
  z.array(deadLetterStateSchema).min(1),
);

export const filterSchema = z.object({
  state: states.default(["dead"]),
  class: optional(z.string().regex(/^[A-Za-z0-9]{1,64}$/, "the name of an error class")),
  pool: optional(nameSchema),
  lane: optional(nameSchema),
  tenant: optional(tenantSchema),
  from: optional(time),
  until: optional(time),
  text: optional(z.string().max(200)),
});
export type Filter = z.output<typeof filterSchema>;

/** @throws Refused naming the fields that are wrong. */
export function parseFilter(input: unknown): Filter {
  const parsed = filterSchema.safeParse(input);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
  throw new Refused(400, `The search is not valid. ${problems.join("; ")}`);
}

/** The filter as form fields, for links and for forms that carry it on. */
export function filterFields(filter: Filter): [string, string][] {
  const { state, from, until, ...texts } = filter;
  return [
    ...state.map((each): [string, string] => ["state", each]),
    ...Object.entries(texts).flatMap(([name, value]): [string, string][] =>
      value === undefined ? [] : [[name, value]],
    ),
    ...(from === undefined ? [] : [["from", isoTime(from)] as [string, string]]),
    ...(until === undefined ? [] : [["until", isoTime(until)] as [string, string]]),
  ];
}

/** As a `datetime-local` field wants it, to the second. */
export function isoTime(ms: number): string {
  return new Date(ms).toISOString().slice(0, ms % 1_000 === 0 ? 19 : 23);
}

/** The filter in words. */
export function describeFilter(filter: Filter): string {
  return filterFields(filter)
    .map(([name, value]) => `${name} ${value}`)
    .join(", ");
}

/**
 * The search that an index begins: the tenant's, the lane's or the class's; what it does not know is tried on each
 * letter it finds.
 */
export function searchOf(
  filter: Filter,
  known: { readonly pools: Pools; readonly classes: readonly string[] },
): Omit<LetterSearch, "limit" | "cursor"> {
  const { state, from, until } = filter;
  const matches = conditionOf(filter);
  return {
    groups: groupsOf(filter, known),
    states: [...new Set(state)],
    ...(from === undefined ? {} : { from }),
    ...(until === undefined ? {} : { until }),
    ...(matches === undefined ? {} : { matches }),
  };
}

function groupsOf(
  { tenant, pool, lane, class: errorClass }: Filter,
  { pools, classes }: { readonly pools: Pools; readonly classes: readonly string[] },
): Grouping[] {
  if (tenant !== undefined) return [{ tenant }];
  if (pool !== undefined && lane !== undefined) return [{ lane: { pool, lane } }];
  if (errorClass !== undefined) return [{ errorClass }];
  if (pool !== undefined)
    return (pools.pools[pool]?.lanes ?? []).map((name) => ({ lane: { pool, lane: name } }));
  if (lane !== undefined) {
    const having = Object.values(pools.pools).filter(({ lanes }) => lanes.includes(lane));
    return having.map(({ name }) => ({ lane: { pool: name, lane } }));
  }
  return classes.map((name) => ({ errorClass: name }));
}

function conditionOf(filter: Filter): ((letter: Letter) => boolean) | undefined {
  const { tenant, pool, lane, class: errorClass, text } = filter;
  const named = [tenant, pool, lane, errorClass].filter((value) => value !== undefined).length;
  // One index answers one of them, or pool and lane together.
  const answered = tenant === undefined && pool !== undefined && lane !== undefined ? 2 : 1;
  if (named <= answered && text === undefined) return undefined;
  const needle = text?.toLowerCase();
  return (letter) =>
    (tenant === undefined || letter.tenant === tenant) &&
    (pool === undefined || letter.pool === pool) &&
    (lane === undefined || letter.lane === lane) &&
    (errorClass === undefined || letter.failure.errorClass === errorClass) &&
    (needle === undefined || containsText(letter, needle));
}

function containsText({ failure, preview = "" }: Letter, needle: string): boolean {
  return failure.message.toLowerCase().includes(needle) || preview.toLowerCase().includes(needle);
}
