/**
 * Lua from a file, with typed arguments and a typed reply. Sends EVALSHA and falls back to EVAL when the server
 * does not know the script (new server, failover, SCRIPT FLUSH).
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Redis } from "ioredis";

/** What a script call sends: the keys it touches (all in one slot) and its arguments. */
export interface ScriptCall {
  readonly keys: readonly string[];
  readonly argv: readonly (string | number)[];
}

/** A script with its argument encoder and reply decoder. */
export interface Script<Input, Output> {
  /** Runs the script. Rejects with the Redis error, or with what `decode` throws on an unknown reply. */
  run(redis: Redis, input: Input): Promise<Output>;
}

export interface ScriptOptions {
  /**
   * Runs on a Redis that has reached `maxmemory` too, where every other script that writes is refused. For scripts that
   * free memory, and for those that a job in hand needs to end: what they add is small or owed. Default false.
   */
  readonly whenFull?: boolean;
}

/** Redis reads this line first. Since 7.0. */
const ALLOW_OOM = "#!lua flags=allow-oom\n";

/**
 * @param files the script, usually `new URL("../lua/name.lua", import.meta.url)`. Several are joined in this order:
 * Lua inside Redis has no include, and local functions of one file serve those after it. Read once, now.
 * @param encode typed input to keys and arguments.
 * @param decode reply to typed output. Throw on anything the script cannot have answered.
 */
export function defineScript<Input, Output>(
  files: URL | readonly URL[],
  encode: (input: Input) => ScriptCall,
  decode: (reply: unknown) => Output,
  { whenFull = false }: ScriptOptions = {},
): Script<Input, Output> {
  const body = [files]
    .flat()
    .map((file) => readFileSync(file, "utf8"))
    .join("\n");
  const source = whenFull ? ALLOW_OOM + body : body;
  const sha = createHash("sha1").update(source).digest("hex");
  return {
    async run(redis, input) {
      const { keys, argv } = encode(input);
      try {
        return decode(await redis.evalsha(sha, keys.length, ...keys, ...argv));
      } catch (error) {
        if (!(error instanceof Error) || !error.message.startsWith("NOSCRIPT")) throw error;
        return decode(await redis.eval(source, keys.length, ...keys, ...argv));
      }
    },
  };
}
