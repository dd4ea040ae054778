import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { z } from "zod";
import { assertNode } from "../src/index.ts";

const scriptsSchema = z.object({ scripts: z.record(z.string(), z.string()).optional() });

test.each(["22.12.0", "22.21.1", "24.0.0", "30.1.0"])("runs on Node %s", (version) => {
  expect(() => assertNode(version)).not.toThrow();
});

test.each(["20.20.2", "22.11.0", "18.0.0"])("says on Node %s what it needs", (version) => {
  expect(() => assertNode(version)).toThrow(`This needs Node 22.12 or newer, and this is ${version}`);
});

test("no script of the workspace runs TypeScript but through what says which Node that takes", () => {
  const root = new URL("../../../", import.meta.url);
  const folders = ["apps", "packages"].flatMap((group) =>
    readdirSync(new URL(`${group}/`, root)).map((name) => `${group}/${name}/`),
  );
  const scripts = ["", "bench/", "chaos/", ...folders].flatMap((folder) => {
    const text = readFileSync(new URL(`${folder}package.json`, root), "utf8");
    const { scripts: found = {} } = scriptsSchema.parse(JSON.parse(text));
    return Object.values(found);
  });
  const typescript = scripts.filter((script) => /^node .*\.ts\b/.test(script));
  expect(typescript.length).toBeGreaterThan(5);
  expect(typescript.filter((script) => !script.includes("start.mjs "))).toEqual([]);
});
