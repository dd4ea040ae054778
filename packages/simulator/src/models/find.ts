/** From the model id of a request to the entry that governs it. */
import { baseline, builtInModels } from "./defaults.ts";
import type { Model, ModelEntry, ModelTable } from "./model.ts";

/** A model id as the quota sees it, with the pool its prefix names. */
export interface ModelName {
  /** Without the ARN around it: `us.amazon.nova-pro-v1:0`. */
  readonly id: string;
  readonly pool: "on-demand" | "geo" | "global";
}

const GEO_PREFIX = /^(?:us|us-gov|eu|apac|jp|au|ca|sa)\./;

/** Reads an id, an inference profile or the ARN of either. */
export function parseModelName(label: string): ModelName {
  const id = label.startsWith("arn:") ? label.slice(label.lastIndexOf("/") + 1) : label;
  if (id.startsWith("global.")) return { id, pool: "global" };
  return { id, pool: GEO_PREFIX.test(id) ? "geo" : "on-demand" };
}

/**
 * The model behind an id: the given table first, then the built-in one for whatever the entry leaves out.
 * @returns undefined when neither table knows the id.
 */
export function findModel(table: ModelTable, id: string, region: string): Model | undefined {
  const given = match(table, id, region);
  const builtIn = match(builtInModels, id, region);
  if (given === undefined && builtIn === undefined) return undefined;
  return {
    ...baseline,
    ...builtIn,
    ...given,
    latency: { ...baseline.latency, ...builtIn?.latency, ...given?.latency },
    answer: { ...baseline.answer, ...builtIn?.answer, ...given?.answer },
  };
}

function match(table: ModelTable, id: string, region: string): ModelEntry | undefined {
  const exact = Object.hasOwn(table, id) ? table[id] : undefined;
  if (exact !== undefined && appliesIn(exact, region)) return exact;
  return Object.entries(table)
    .filter(([pattern, entry]) => matchesPattern(pattern, id) && appliesIn(entry, region))
    .toSorted(([left], [right]) => specificity(right) - specificity(left))[0]?.[1];
}

/** Literal characters decide; between equals, the pattern with fewer wildcards. */
function specificity(pattern: string): number {
  const wildcards = pattern.split("*").length - 1;
  return pattern.length - wildcards - wildcards / 100;
}

function appliesIn(entry: ModelEntry, region: string): boolean {
  return entry.region === undefined || entry.region === region;
}

/** `*` stands for any run of characters, everything else for itself. */
export function matchesPattern(pattern: string, id: string): boolean {
  if (!pattern.includes("*")) return pattern === id;
  const parts = pattern.split("*");
  const first = parts[0] ?? "";
  const last = parts.at(-1) ?? "";
  if (!id.startsWith(first) || !id.endsWith(last) || id.length < first.length + last.length) return false;
  let position = first.length;
  for (const part of parts.slice(1, -1)) {
    const found = id.indexOf(part, position);
    if (found === -1) return false;
    position = found + part.length;
  }
  return position <= id.length - last.length;
}
