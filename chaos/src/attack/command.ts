/** `pnpm chaos attack`: what fell, and how many were tried. */
import type { CommandContext, Verdict } from "../command.ts";
import { commandOfTrials } from "../trials/command.ts";
import { runAttacks } from "./attack.ts";
import { CASES } from "./cases.ts";

export async function attackCommand(context: CommandContext): Promise<Verdict> {
  return commandOfTrials(context, {
    cases: CASES,
    noun: "attacks",
    run: async (cases) => runAttacks({ ...context, cases }),
  });
}
