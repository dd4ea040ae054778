/** The API's environment. `docs/deployment.md` has it as a table. */
import { deploymentEnv, listenerEnv } from "@sluice/process";
import { z } from "zod";

export const envSchema = z.object({ ...deploymentEnv, ...listenerEnv(3000) });
