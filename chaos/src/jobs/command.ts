/** `pnpm chaos jobs`. */
import type { CommandContext, Verdict } from "../command.ts";
import { runJobs } from "./scenario.ts";

export async function jobsCommand(context: CommandContext): Promise<Verdict> {
  const { problems, ...figures } = await runJobs(context);
  for (const problem of problems) context.onProgress(problem);
  return { isGood: figures.lost === 0 && figures.disagreements === 0, figures };
}
