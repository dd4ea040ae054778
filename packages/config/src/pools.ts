/** The pools file: what an operator says about accounts, models and quotas, once for all processes of a fleet. */
import { readFile } from "node:fs/promises";
import { nameSchema } from "@sluice/job";
import { z } from "zod";
import { countedTwice } from "./counted-twice.ts";
import { badName, findings, PoolsFileError, type Finding, type Problem } from "./problems.ts";
import { poolSchema, type Pool } from "./rules.ts";
import { MAPPING_RULE, poolKeysSchema, scopeFileSchema, type Scope } from "./schema.ts";
import { warnings } from "./warnings.ts";
import { readYaml, type YamlFile } from "./yaml.ts";

/** Scopes and pools by name. The records have no prototype, so that a name from outside finds a pool or nothing. */
export interface Pools {
  readonly scopes: Readonly<Record<string, Scope>>;
  readonly pools: Readonly<Record<string, Pool>>;
  /** What works, but hardly as meant, in the order of the file. Every program tells them at start. */
  readonly warnings: readonly Problem[];
}

const NOT_EMPTY = "a mapping of names to their settings with at least one entry";
const entries = z
  .record(z.string(), z.unknown(), NOT_EMPTY)
  .refine((record) => Object.keys(record).length > 0, NOT_EMPTY);
const fileSchema = z.strictObject({ scopes: entries, pools: entries }, MAPPING_RULE);

/**
 * Reads the text of a pools file: YAML, or JSON, which is a subset.
 * @param source what to call the text in errors, usually its path.
 * @throws PoolsFileError with every problem of the file, not only the first.
 */
export function parsePools(text: string, source: string): Pools {
  const file = readYaml(text);
  if (file.errors.length > 0) throw new PoolsFileError(source, file.errors);

  const found: Finding[] = [];
  const top = fileSchema.safeParse(file.value);
  if (!top.success) found.push(...findings([], top.error.issues, file.value, ["scopes", "pools"]));

  const scopes = new Map<string, Scope | undefined>();
  for (const [name, value] of section(file.value, "scopes")) {
    const path = ["scopes", name];
    if (!nameSchema.safeParse(name).success) found.push(badName(path));
    const scope = scopeFileSchema.safeParse(value);
    if (!scope.success)
      found.push(...findings(path, scope.error.issues, value, Object.keys(scopeFileSchema.shape)));
    // A broken scope counts as there: its pools are not to blame.
    scopes.set(name, scope.success ? { ...scope.data, name } : undefined);
  }

  const pools = new Map<string, Pool>();
  const names = new Set(section(file.value, "pools").map(([name]) => name));
  for (const [name, value] of section(file.value, "pools")) {
    const schema = poolSchema(name, scopes, names);
    const path = ["pools", name];
    if (!nameSchema.safeParse(name).success) found.push(badName(path));
    const pool = schema.safeParse(value);
    if (pool.success) pools.set(name, { ...pool.data, name });
    else found.push(...findings(path, pool.error.issues, value, Object.keys(poolKeysSchema.shape)));
  }

  found.push(...countedTwice([...pools.values()], scopes));
  if (found.length > 0) throw new PoolsFileError(source, inFileOrder(found, file));
  const good = { scopes: bare(scopes), pools: bare(pools) };
  return { ...good, warnings: inFileOrder(warnings(good), file) };
}

/**
 * Reads the pools file at a path.
 * @throws PoolsFileError as `parsePools`, also when the file cannot be read; the reason is its `cause`.
 */
export async function readPools(path: string): Promise<Pools> {
  const text = await readFile(path, "utf8").catch((error: unknown) => {
    const reason = error instanceof Error ? error.message : String(error);
    throw new PoolsFileError(
      path,
      [{ path: "", message: `Expected a file that can be read: ${reason}` }],
      error,
    );
  });
  return parsePools(text, path);
}

function section(value: unknown, key: "scopes" | "pools"): [string, unknown][] {
  if (typeof value !== "object" || value === null) return [];
  const inner: unknown = Reflect.get(value, key);
  return typeof inner === "object" && inner !== null && !Array.isArray(inner) ? Object.entries(inner) : [];
}

function inFileOrder(found: readonly Finding[], file: YamlFile): Problem[] {
  return found
    .map(({ path, message }) => {
      const line = file.lineOf(path);
      return { path: path.join("."), message, ...(line === undefined ? {} : { line }) };
    })
    .toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0));
}

function bare<Value>(map: ReadonlyMap<string, Value | undefined>): Readonly<Record<string, Value>> {
  const record: Record<string, Value> = Object.setPrototypeOf({}, null);
  for (const [name, value] of map) if (value !== undefined) record[name] = value;
  return record;
}
