/** The API process: parse, construct, start; on SIGTERM answer what was asked and leave. */
import { readPools } from "@sluice/config";
import {
  assertReachable,
  deploymentEnv,
  leaveOnSignal,
  listenerEnv,
  parseEnv,
  tellParent,
} from "@sluice/process";
import { createLogger, logEvents } from "@sluice/telemetry";
import { z } from "zod";
import { Api } from "./api.ts";

const env = parseEnv(z.object({ ...deploymentEnv, ...listenerEnv(3000) }), process.env);
assertReachable(env.HOST, env.SLUICE_ALLOW_UNAUTHENTICATED);
const logger = createLogger({ name: "api", level: env.LOG_LEVEL });
const api = new Api({
  pools: await readPools(env.SLUICE_POOLS),
  namespace: env.SLUICE_NAMESPACE,
  redisUrl: env.REDIS_URL,
  deadLetterTable: env.SLUICE_DEAD_LETTER_TABLE,
  host: env.HOST,
  port: env.PORT,
  listeners: [logEvents(logger)],
});
leaveOnSignal(async () => api.stop());
const url = await api.start();
logger.info({ url }, "api:listening");
tellParent({ type: "ready", url });
