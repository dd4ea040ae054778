/** The board process: parse, construct, start; leave on SIGTERM. */
import { readPools } from "@sluice/config";
import { describe } from "@sluice/drain";
import { openLetters } from "@sluice/installation/letters";
import { endProgram, leaveOnSignal, parseEnv, runProgram, tellParent } from "@sluice/process";
import { auditLogger, createLogger, logEvents, quiet } from "@sluice/telemetry";
import { accessSettings } from "./access/settings.ts";
import { Board } from "./board.ts";
import { envSchema } from "./env.ts";

await runProgram("sluice board", async () => {
  const env = parseEnv(envSchema, process.env);
  const access = accessSettings(env);
  const logger = createLogger({ name: "board", level: env.LOG_LEVEL });
  const audit = auditLogger(logger);
  const listener = quiet(logEvents(logger));
  // Nobody asks for letters before there is a board.
  const deadLetters = openLetters({ table: env.SLUICE_DEAD_LETTER_TABLE, clock: () => board.clock() });
  const pools = await readPools(env.SLUICE_POOLS);
  for (const warning of pools.warnings) logger.warn(warning, "config:warning");
  const board: Board = new Board({
    pools,
    namespace: env.SLUICE_NAMESPACE,
    redisUrl: env.REDIS_URL,
    deadLetters,
    deadLetterTable: env.SLUICE_DEAD_LETTER_TABLE,
    access,
    replaysPerLane: env.SLUICE_REPLAYS_PER_LANE,
    host: env.HOST,
    port: env.PORT,
    maxConnections: env.SLUICE_MAX_CONNECTIONS,
    allowedHosts: env.SLUICE_ALLOWED_HOSTS,
    audit: (entry) => audit.info(entry, "board:audit"),
    onError: (error) => listener("worker:error", { part: "board", error: describe(error) }),
    listener,
    onUnfit: (sentence) => endProgram("sluice board", sentence),
  });
  leaveOnSignal(async () => {
    await board.stop();
    deadLetters.close();
    listener.stop();
  });
  const url = await board.start();
  logger.info({ url, access: access.type }, "board:listening");
  tellParent({ type: "ready", url });
});
