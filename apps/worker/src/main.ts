/** The worker process: parse, construct, start; on SIGTERM drain and leave. */
import { readPools } from "@sluice/config";
import { deploymentEnv, leaveOnSignal, parseEnv, tellParent } from "@sluice/process";
import { createLogger, logEvents } from "@sluice/telemetry";
import { z } from "zod";
import { Worker } from "./worker.ts";

const envSchema = z.object({
  ...deploymentEnv,
  /** How long calls in flight may take after SIGTERM, milliseconds. */
  SLUICE_SHUTDOWN_GRACE_MS: z.coerce.number().int().positive().default(60_000),
  /** How long Redis keeps a job for a worker that went silent: before its call, and from the call's start. */
  SLUICE_LOCK_IN_HAND_MS: z.coerce.number().int().min(500).default(15_000),
  SLUICE_LOCK_CALL_MS: z.coerce.number().int().min(500).default(90_000),
  /** How often jobs of vanished workers are looked for, milliseconds. */
  SLUICE_STALLED_INTERVAL_MS: z.coerce.number().int().min(100).default(15_000),
  /** How long after its last beat a worker counts as alive, milliseconds. The same in the whole fleet. */
  SLUICE_HEARTBEAT_TTL_MS: z.coerce.number().int().min(1_000).default(30_000),
});

const env = parseEnv(envSchema, process.env);
const logger = createLogger({ name: "worker", level: env.LOG_LEVEL });
const worker = new Worker({
  pools: await readPools(env.SLUICE_POOLS),
  namespace: env.SLUICE_NAMESPACE,
  redisUrl: env.REDIS_URL,
  deadLetterTable: env.SLUICE_DEAD_LETTER_TABLE,
  lockTimes: { inHandMs: env.SLUICE_LOCK_IN_HAND_MS, callMs: env.SLUICE_LOCK_CALL_MS },
  stalledIntervalMs: env.SLUICE_STALLED_INTERVAL_MS,
  heartbeatTtlMs: env.SLUICE_HEARTBEAT_TTL_MS,
  listeners: [logEvents(logger)],
});
leaveOnSignal(async () => worker.stop(env.SLUICE_SHUTDOWN_GRACE_MS));
await worker.start();
tellParent({ type: "ready" });
