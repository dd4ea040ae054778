/** What a Redis server says of itself, as far as it matters to jobs. */
import { z } from "zod";

const count = z.coerce.number().int().nonnegative();
const flag = z.enum(["0", "1"]).transform((value) => value === "1");
/** Servers that are like Redis leave some out; what is left out, or new, is taken for good. */
const fieldsSchema = z.object({
  redis_version: z
    .string()
    .regex(/^\d{1,4}(\.|$)/)
    .optional()
    .catch(undefined),
  run_id: z.string().max(100).catch(""),
  role: z.string().catch("master"),
  cluster_enabled: flag.catch(false),
  maxmemory_policy: z.string().catch("noeviction"),
  evicted_keys: count.catch(0),
  aof_enabled: flag.optional().catch(undefined),
  aof_last_write_status: z.string().catch("ok"),
  rdb_last_bgsave_status: z.string().catch("ok"),
});

export interface ServerState {
  /** The version of Redis whose commands it has, e.g. `7.2.4`; `undefined` when it does not say. */
  readonly version: string | undefined;
  /** Names this life of this server. */
  readonly runId: string;
  readonly isReplica: boolean;
  readonly isCluster: boolean;
  readonly policy: string;
  /** Keys dropped for room since the server started. */
  readonly evicted: number;
  /** Whether it writes an append-only file; `undefined` when it does not say. */
  readonly appendOnly: boolean | undefined;
  readonly appendFails: boolean;
  readonly snapshotFails: boolean;
}

/** Reads the reply to INFO. */
export function parseServer(info: string): ServerState {
  const lines = info.split(/\r?\n/).map((line) => line.split(":", 2));
  const fields = fieldsSchema.parse(Object.fromEntries(lines));
  return {
    version: fields.redis_version?.slice(0, 20),
    runId: fields.run_id,
    isReplica: fields.role === "slave",
    isCluster: fields.cluster_enabled,
    policy: fields.maxmemory_policy,
    evicted: fields.evicted_keys,
    appendOnly: fields.aof_enabled,
    appendFails: fields.aof_last_write_status !== "ok",
    snapshotFails: fields.rdb_last_bgsave_status !== "ok",
  };
}
