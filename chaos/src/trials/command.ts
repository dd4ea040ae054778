/** What every command of trials does: choose cases, list sentences, add up. */
import type { CommandContext, Verdict } from "../command.ts";
import type { Tried } from "./run.ts";
import type { TrialCase } from "./trial.ts";

export interface TrialsCommand<Site> {
  readonly cases: readonly TrialCase<Site>[];
  /** What the trials are called in the figures. */
  readonly noun: string;
  readonly run: (cases: readonly TrialCase<Site>[]) => Promise<readonly Tried[]>;
}

/** @throws RangeError naming a case that there is not. */
export async function commandOfTrials<Site>(
  context: CommandContext,
  { cases, noun, run }: TrialsCommand<Site>,
): Promise<Verdict> {
  if (context.list) return { isGood: true, figures: sentences(cases) };
  const tried = await run(select(cases, context.cases));
  const fallen = tried.filter(({ found }) => found !== undefined);
  const slowest = tried.toSorted((a, b) => b.tookMs - a.tookMs).slice(0, 5);
  context.onProgress(`slowest: ${slowest.map(({ trial, tookMs }) => `${trial} ${tookMs} ms`).join(", ")}`);
  const measured = tried.filter((each) => Object.keys(each.measured).length > 0);
  const figures = {
    [noun]: tried.length,
    fell: fallen.length,
    fallen: fallen.map(({ trial, holds, found }) => ({ trial, holds, found })),
    ...(measured.length > 0 && {
      measured: Object.fromEntries(measured.map((each) => [each.trial, each.measured])),
    }),
  };
  return { isGood: fallen.length === 0 && tried.length > 0, figures };
}

function select<Site>(
  cases: readonly TrialCase<Site>[],
  names: readonly string[] | undefined,
): readonly TrialCase<Site>[] {
  if (names === undefined) return cases;
  const unknown = names.find((name) => cases.every((each) => each.name !== name));
  if (unknown !== undefined) throw new RangeError(`There is no case '${unknown}'; --list has all`);
  return cases.filter(({ name }) => names.includes(name));
}

/** What must hold, by case and trial. */
function sentences<Site>(cases: readonly TrialCase<Site>[]): Record<string, Record<string, string>> {
  return Object.fromEntries(
    cases.map(({ name, trials }) => [
      name,
      Object.fromEntries(trials.map((each) => [each.name, each.holds])),
    ]),
  );
}
