/** The page that operators read names every variable that the program reads, with its default. */
import { readFile } from "node:fs/promises";
import { parseEnv } from "@sluice/process";
import { expect, test } from "vitest";
import { envSchema } from "../src/env.ts";

test.each(Object.entries(envSchema.shape))("docs/deployment.md has a row for %s", async (name, schema) => {
  const page = await readFile(new URL("../../../docs/deployment.md", import.meta.url), "utf8");
  const row = page.split("\n").find((line) => line.startsWith(`| \`${name}\``));
  expect(row).toBeDefined();
  const { data: fallback } = schema.safeParse(undefined);
  expect(row?.split("|")[3]).toContain(fallback === undefined ? "required" : String(fallback));
});

test("streams leave connections to those who ask for less", () => {
  const env = { SLUICE_POOLS: "pools.yaml", REDIS_URL: "redis://127.0.0.1", SLUICE_MAX_STREAMS: "4000" };
  expect(() => parseEnv(envSchema, env)).toThrow(
    /SLUICE_MAX_CONNECTIONS: Expected more than SLUICE_MAX_STREAMS/,
  );
  expect(parseEnv(envSchema, { ...env, SLUICE_MAX_CONNECTIONS: "4001" })).toMatchObject({
    SLUICE_MAX_CONNECTIONS: 4_001,
  });
});
