/** The API process: parse, construct, start; on SIGTERM answer what was asked and leave. */
import { readPools } from "@sluice/config";
import {
  assertReachable,
  endProgram,
  leaveOnSignal,
  parseEnv,
  runProgram,
  tellParent,
} from "@sluice/process";
import { createLogger, logEvents, quiet } from "@sluice/telemetry";
import { Api } from "./api.ts";
import { envSchema } from "./env.ts";

await runProgram("sluice api", async () => {
  const env = parseEnv(envSchema, process.env);
  assertReachable(env.HOST, env.SLUICE_ALLOW_UNAUTHENTICATED);
  const logger = createLogger({ name: "api", level: env.LOG_LEVEL });
  const listener = quiet(logEvents(logger));
  const api = new Api({
    pools: await readPools(env.SLUICE_POOLS),
    namespace: env.SLUICE_NAMESPACE,
    redisUrl: env.REDIS_URL,
    deadLetterTable: env.SLUICE_DEAD_LETTER_TABLE,
    host: env.HOST,
    port: env.PORT,
    allowedHosts: env.SLUICE_ALLOWED_HOSTS,
    maxConnections: env.SLUICE_MAX_CONNECTIONS,
    streams: {
      most: env.SLUICE_MAX_STREAMS,
      mostPerAddress: env.SLUICE_MAX_STREAMS_PER_ADDRESS,
      maxAgeMs: env.SLUICE_STREAM_MAX_AGE_MS,
    },
    listeners: [listener],
    onUnfit: (sentence) => endProgram("sluice api", sentence),
  });
  leaveOnSignal(async () => {
    await api.stop();
    listener.stop();
  });
  const url = await api.start();
  logger.info({ url }, "api:listening");
  tellParent({ type: "ready", url });
});
