/** The page on events has each of them, as loud as it is logged, and no other. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { LEVELS } from "../src/log.ts";

test("docs/events.md", () => {
  const page = readFileSync(new URL("../../../docs/events.md", import.meta.url), "utf8");
  const rows = [...page.matchAll(/^\| `([a-z-]+:[a-z-]+)` +\| (\w+) +\| .{20,}\|$/gm)];
  expect(Object.fromEntries(rows.map(([, name, level]) => [name, level]))).toEqual(LEVELS);
  expect(rows).toHaveLength(Object.keys(LEVELS).length);
});
