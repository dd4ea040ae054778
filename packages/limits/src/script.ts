/**
 * Scripts made of several Lua files. Lua inside Redis has no include, and admit and settle share most of their
 * functions: the files are joined in the order of use, each defining local functions for those after it.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { ScriptCall } from "@sluice/redis";
import type { Redis } from "ioredis";

/** Runs the script: by hash, or whole when the server does not know it (new server, failover). */
export type RunScript = (redis: Redis, call: ScriptCall) => Promise<unknown>;

/** @param parts names in `lua/`, without the ending. Read once, now. */
export function joinScript(...parts: readonly string[]): RunScript {
  const files = parts.map((part) => readFileSync(new URL(`../lua/${part}.lua`, import.meta.url), "utf8"));
  const source = files.join("\n");
  const sha = createHash("sha1").update(source).digest("hex");
  return async (redis, { keys, argv }) => {
    try {
      return await redis.evalsha(sha, keys.length, ...keys, ...argv);
    } catch (error) {
      if (!(error instanceof Error) || !error.message.startsWith("NOSCRIPT")) throw error;
      return redis.eval(source, keys.length, ...keys, ...argv);
    }
  };
}
