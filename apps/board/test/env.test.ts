/** The page that operators read names every variable that the program reads, with its default. */
import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { envSchema } from "../src/env.ts";

test.each(Object.entries(envSchema.shape))("docs/deployment.md has a row for %s", async (name, schema) => {
  const page = await readFile(new URL("../../../docs/deployment.md", import.meta.url), "utf8");
  const row = page.split("\n").find((line) => line.startsWith(`| \`${name}\``));
  expect(row).toBeDefined();
  const parsed = schema.safeParse(undefined);
  const fallback = parsed.success ? (parsed.data ?? "optional") : "required";
  expect(row?.split("|")[3]).toContain(String(fallback));
});
