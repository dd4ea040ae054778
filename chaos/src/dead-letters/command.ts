/** `pnpm chaos dead-letters`. */
import type { CommandContext, Verdict } from "../command.ts";
import { runDeadLetters } from "./scenario.ts";

export async function deadLettersCommand(context: CommandContext): Promise<Verdict> {
  const report = await runDeadLetters(context);
  const { missing, duplicates, doubleReplays, leftInRedis } = report;
  const isGood = [missing, duplicates, doubleReplays, leftInRedis].every((count) => count === 0);
  return { isGood: isGood && report.dead === context.jobs, figures: report };
}
