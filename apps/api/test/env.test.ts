/** The page that operators read names every variable that the program reads, with its default. */
import { readFile } from "node:fs/promises";
import { parseEnv } from "@sluice/process";
import { expect, test } from "vitest";
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

// Node's timers wrap around at 2^31 ms, and fire at once.
test.each(variables.map(([name]) => name).filter((name) => name.endsWith("_MS")))(
  "%s is nothing that a timer cannot wait for",
  (name) => {
    for (const value of ["0", "-1", String(2 ** 31), "9007199254740991", "1e3"]) {
      expect(() => parseEnv(envSchema, { ...LEAST, [name]: value })).toThrow(
        `  ${name}: Expected a whole number from `,
      );
    }
  },
);

test("streams leave connections to those who ask for less", () => {
  const env = { SLUICE_POOLS: "pools.yaml", REDIS_URL: "redis://127.0.0.1", SLUICE_MAX_STREAMS: "4000" };
  expect(() => parseEnv(envSchema, env)).toThrow(
    /SLUICE_MAX_CONNECTIONS: Expected more than SLUICE_MAX_STREAMS/,
  );
  expect(parseEnv(envSchema, { ...env, SLUICE_MAX_CONNECTIONS: "4001" })).toMatchObject({
    SLUICE_MAX_CONNECTIONS: 4_001,
  });
});
