/** The board process: parse, construct, start; leave on SIGTERM. */
import { readPools } from "@sluice/config";
import {
  assertReachable,
  deploymentEnv,
  leaveOnSignal,
  listenerEnv,
  parseEnv,
  tellParent,
} from "@sluice/process";
import { createLogger } from "@sluice/telemetry";
import { z } from "zod";
import { Board } from "./board.ts";

const env = parseEnv(z.object({ ...deploymentEnv, ...listenerEnv(3001) }), process.env);
assertReachable(env.HOST, env.SLUICE_ALLOW_UNAUTHENTICATED);
const logger = createLogger({ name: "board", level: env.LOG_LEVEL });
const board = new Board({
  pools: await readPools(env.SLUICE_POOLS),
  namespace: env.SLUICE_NAMESPACE,
  redisUrl: env.REDIS_URL,
  host: env.HOST,
  port: env.PORT,
  onError: (error) => logger.error({ err: error }, "board:error"),
});
leaveOnSignal(async () => board.stop());
const url = await board.start();
logger.info({ url }, "board:listening");
tellParent({ type: "ready", url });
