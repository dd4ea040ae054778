/** `pnpm chaos fleets`: what fell of what clocks, versions, files and damaged records can do to a fleet. */
import type { CommandContext, Verdict } from "../command.ts";
import { commandOfTrials } from "../trials/command.ts";
import { runTrials, type Tried } from "../trials/run.ts";
import type { TrialCase } from "../trials/trial.ts";
import { fleetsCases } from "./cases.ts";
import { Site, type SiteOptions } from "./site.ts";

/** Some wait for the limiter to forget a file, or for an outage and what follows it. Milliseconds. */
const LONGEST_MS = 240_000;

export async function fleetsCommand(context: CommandContext): Promise<Verdict> {
  return commandOfTrials(context, {
    cases: fleetsCases(),
    noun: "trials",
    run: async (cases) => runFleets({ ...context, cases }),
  });
}

/** Tries the trials of these cases on a new site. */
export async function runFleets(
  options: SiteOptions & { readonly cases: readonly TrialCase<Site>[] },
): Promise<Tried[]> {
  await using site = await Site.open(options);
  const { cases, onProgress } = options;
  return await runTrials({ cases, site, onProgress, longestMs: LONGEST_MS });
}
