/** What holds of the environment of every program. */
import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import type { z } from "zod";
import { parseEnv } from "../src/index.ts";

const LEAST = { SLUICE_POOLS: "pools.yaml", REDIS_URL: "redis://127.0.0.1:6379" };

/** What a variable may come to. */
type Variable = z.ZodType<string | number | boolean | readonly string[] | undefined>;

/** @param envSchema all that a program reads, with a pools file and a Redis URL as the least it needs. */
export function testEnv(envSchema: z.ZodObject<Readonly<Record<string, Variable>>>): void {
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
  const durations = variables.map(([name]) => name).filter((name) => name.endsWith("_MS"));
  for (const name of durations) {
    test(`${name} is nothing that a timer cannot wait for`, () => {
      for (const value of ["0", "-1", String(2 ** 31), "9007199254740991", "1e3"]) {
        expect(() => parseEnv(envSchema, { ...LEAST, [name]: value })).toThrow(
          `  ${name}: Expected a whole number from `,
        );
      }
    });
  }
}
