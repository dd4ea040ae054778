/**
 * Scripts made of several Lua files: admit and settle share most of their functions. Each file defines local functions
 * for those after it.
 */
import { defineScript, type ScriptCall, type ScriptOptions } from "@sluice/redis";
import type { Redis } from "ioredis";

/** Runs the script. */
export type RunScript = (redis: Redis, call: ScriptCall) => Promise<unknown>;

/** @param parts names in `lua/`, without the ending. Read once, now. */
export function joinScript(parts: readonly string[], options: ScriptOptions = {}): RunScript {
  const files = parts.map((part) => new URL(`../lua/${part}.lua`, import.meta.url));
  const script = defineScript(
    files,
    (call: ScriptCall) => call,
    (reply) => reply,
    options,
  );
  return async (redis, call) => script.run(redis, call);
}
