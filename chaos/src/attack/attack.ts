/** What an attack is: a trial of a sentence about what listens, on one site that all attacks share. */
import type { RunOptions } from "../command.ts";
import { runTrials, type Tried } from "../trials/run.ts";
import { must, type Trial, type TrialCase } from "../trials/trial.ts";
import { Site } from "./site.ts";

export type Attack = Trial<Site>;
export type AttackCase = TrialCase<Site>;
export { must } from "../trials/trial.ts";

/** Tries the attacks of these cases on a new site. */
export async function runAttacks(
  options: RunOptions & { readonly cases: readonly AttackCase[] },
): Promise<Tried[]> {
  await using site = await Site.open(options);
  const { cases, onProgress } = options;
  return await runTrials({ cases, site, onProgress });
}

/** @throws Fell unless the status is one of those. */
export function mustAnswer(
  { status, text }: { readonly status: number; readonly text: string },
  among: readonly number[],
  what: string,
): void {
  must(
    among.includes(status),
    `${what}: answered ${status}, expected ${among.join(" or ")}: ${text.slice(0, 200)}`,
  );
}
