import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { parsePools } from "../src/index.ts";
import { poolKeysSchema, quotaFileSchema, scopeFileSchema } from "../src/schema.ts";

const page = await readFile(new URL("../../../docs/pools-file.md", import.meta.url), "utf8");

test("the page's tables have every key, in the order of the schema, and no other", () => {
  const rows = [...page.matchAll(/^\| `([\w.]+)` +\|/gm)].map((match) => match[1]);
  const quota = Object.keys(quotaFileSchema.shape).map((key) => `quota.${key}`);
  const pool = Object.keys(poolKeysSchema.shape).flatMap((key) => (key === "quota" ? quota : [key]));
  expect(rows).toEqual([...Object.keys(scopeFileSchema.shape), ...pool]);
});

test("the page's example is a pools file whose shown defaults are the defaults", () => {
  const example = /```yaml\n([^]*?)```/.exec(page)?.[1] ?? "";
  const { claude } = parsePools(example, "the example").pools;
  const withoutDefaults = example.replaceAll(/^.*# default.*$/gm, "");
  expect(withoutDefaults).not.toEqual(example);
  expect(parsePools(withoutDefaults, "the example without defaults").pools["claude"]).toEqual(claude);
});
