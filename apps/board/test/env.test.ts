/** The page that operators read names every variable that the program reads, with its default. */
import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { parseEnv } from "@sluice/process";
import { envSchema } from "../src/env.ts";

const LEAST = { SLUICE_POOLS: "pools.yaml", REDIS_URL: "redis://127.0.0.1:6379" };
const variables = Object.entries(envSchema.shape);

test.each(variables)("docs/deployment.md has a row for %s", async (name, schema) => {
  const page = await readFile(new URL("../../../docs/deployment.md", import.meta.url), "utf8");
  const row = page.split("\n").find((line) => line.startsWith(`| \`${name}\``));
  expect(row).toBeDefined();
  const parsed = schema.safeParse(undefined);
  const fallback = parsed.success ? (parsed.data ?? "optional") : "required";
  expect(row?.split("|")[3]).toContain(String(fallback));
});

test("every variable but the Region may be empty, and is as if it were not set", () => {
  const empty = Object.fromEntries(variables.map(([name]) => [name, ""]));
  expect(parseEnv(envSchema, { ...empty, AWS_REGION: undefined, ...LEAST })).toEqual(
    parseEnv(envSchema, LEAST),
  );
});
