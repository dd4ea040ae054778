/** The API's environment. */
import { parseEnv } from "@sluice/process";
import { expect, test } from "vitest";
import { testEnv } from "../../../packages/process/test/env.suite.ts";
import { envSchema } from "../src/env.ts";

testEnv(envSchema);

test("streams leave connections to those who ask for less", () => {
  const env = { SLUICE_POOLS: "pools.yaml", REDIS_URL: "redis://127.0.0.1", SLUICE_MAX_STREAMS: "4000" };
  expect(() => parseEnv(envSchema, env)).toThrow(
    /SLUICE_MAX_CONNECTIONS: Expected more than SLUICE_MAX_STREAMS/,
  );
  expect(parseEnv(envSchema, { ...env, SLUICE_MAX_CONNECTIONS: "4001" })).toMatchObject({
    SLUICE_MAX_CONNECTIONS: 4_001,
  });
});
