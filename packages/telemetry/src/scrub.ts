/** Fields of a log line without what must not be in a log: of errors only what may be told, of URLs no passwords. */
import { scrubError, scrubText } from "@sluice/job";

/** Our own fields are flat; deeper ones are a stranger's object. */
const DEEPEST = 5;

/** The fields with every error told and every text scrubbed, however deep they are. What lies too deep is left out. */
export function scrubFields(fields: object): Record<string, unknown> {
  return scrubEntries(fields, 0);
}

function scrubEntries(fields: object, depth: number): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, scrub(value, depth + 1)]));
}

function scrub(value: unknown, depth: number): unknown {
  if (typeof value === "string") return scrubText(value);
  if (value instanceof Error) return scrubError(value);
  if (typeof value !== "object" || value === null) return value;
  if (depth >= DEEPEST) return "…";
  if (Array.isArray(value)) return value.map((item: unknown) => scrub(item, depth + 1));
  return scrubEntries(value, depth);
}
