/** The board's environment. */
import { testEnv } from "../../../packages/process/test/env.suite.ts";
import { envSchema } from "../src/env.ts";

testEnv(envSchema);
