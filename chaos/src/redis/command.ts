/** `pnpm chaos redis`: what Redis does to Sluice, and Sluice to Redis. */
import type { CommandContext, RunOptions, Verdict } from "../command.ts";
import { commandOfTrials } from "../trials/command.ts";
import { runTrials, type Tried } from "../trials/run.ts";
import type { TrialCase } from "../trials/trial.ts";
import { CASES } from "./cases.ts";
import { openGround, type Ground } from "./ground.ts";

/** On a machine that is free the longest trial takes a minute; on a busy one it shall not count as fallen. */
const LONGEST_MS = 400_000;

export async function redisCommand(context: CommandContext): Promise<Verdict> {
  return commandOfTrials(context, {
    cases: CASES,
    noun: "trials",
    run: async (cases) => runRedisTrials({ ...context, cases }),
  });
}

/** Tries these cases, each trial on a Redis of its own. */
export async function runRedisTrials(
  options: RunOptions & { readonly cases: readonly TrialCase<Ground>[] },
): Promise<Tried[]> {
  await using ground = await openGround(options);
  const { cases, onProgress } = options;
  return await runTrials({ cases, site: ground, onProgress, longestMs: LONGEST_MS });
}
