/** The worker process: parse, construct, start; on SIGTERM drain and leave. */
import { readPools } from "@sluice/config";
import { endProgram, leaveOnSignal, parseEnv, runProgram, tellParent } from "@sluice/process";
import { createLogger, logEvents, quiet } from "@sluice/telemetry";
import { envSchema } from "./env.ts";
import { Worker } from "./worker.ts";

await runProgram("sluice worker", async () => {
  const env = parseEnv(envSchema, process.env);
  const logger = createLogger({ name: "worker", level: env.LOG_LEVEL });
  const listener = quiet(logEvents(logger));
  const worker = new Worker({
    pools: await readPools(env.SLUICE_POOLS),
    namespace: env.SLUICE_NAMESPACE,
    redisUrl: env.REDIS_URL,
    deadLetterTable: env.SLUICE_DEAD_LETTER_TABLE,
    lockTimes: { inHandMs: env.SLUICE_LOCK_IN_HAND_MS, callMs: env.SLUICE_LOCK_CALL_MS },
    stalledIntervalMs: env.SLUICE_STALLED_INTERVAL_MS,
    heartbeatTtlMs: env.SLUICE_HEARTBEAT_TTL_MS,
    reconcileIntervalMs: env.SLUICE_RECONCILE_INTERVAL_MS,
    listeners: [listener],
    onUnfit: (sentence) => endProgram("sluice worker", sentence),
  });
  leaveOnSignal(async () => {
    await worker.stop(env.SLUICE_SHUTDOWN_GRACE_MS);
    listener.stop();
  });
  if (await worker.start()) tellParent({ type: "ready" });
});
