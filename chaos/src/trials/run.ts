/** Tries to make every sentence false on one site, and says which did not hold. */
import type { Measured, Trial, TrialCase } from "./trial.ts";

/** One trial, as it came out. */
export interface Tried {
  /** The case's name, a slash, the trial's. */
  readonly trial: string;
  readonly holds: string;
  /** What was found instead; `undefined` when it held. */
  readonly found: string | undefined;
  readonly measured: Measured;
  readonly tookMs: number;
}

/** One trial may take so long, milliseconds: one that hangs has fallen too. */
const LONGEST_MS = 90_000;

export interface TrialsOptions<Site> {
  readonly cases: readonly TrialCase<Site>[];
  /** What the trials share. The caller closes it. */
  readonly site: Site;
  readonly onProgress: (line: string) => void;
  /** How long one trial may take, milliseconds. Default 90,000. */
  readonly longestMs?: number;
}

export async function runTrials<Site>(options: TrialsOptions<Site>): Promise<Tried[]> {
  const { cases, site, onProgress, longestMs = LONGEST_MS } = options;
  const tried: Tried[] = [];
  const tryOne = async (of: TrialCase<Site>, trial: Trial<Site>): Promise<void> => {
    const result = await judge(site, of, trial, longestMs);
    tried.push(result);
    if (result.found !== undefined) onProgress(`FELL ${result.trial}: ${result.holds}\n     ${result.found}`);
  };
  const beside = cases
    .filter((each) => each.beside === true)
    .flatMap((of) => of.trials.map(async (trial) => tryOne(of, trial)));
  for (const of of cases.filter((each) => each.beside !== true)) {
    const from = performance.now();
    // oxlint-disable-next-line no-await-in-loop -- what one measures, the others would disturb
    for (const trial of of.trials) await tryOne(of, trial);
    onProgress(`${of.name}: ${of.trials.length} tried, ${((performance.now() - from) / 1_000).toFixed(1)} s`);
  }
  await Promise.all(beside);
  return tried;
}

async function judge<Site>(
  site: Site,
  { name }: TrialCase<Site>,
  trial: Trial<Site>,
  longestMs: number,
): Promise<Tried> {
  const from = performance.now();
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`It took more than ${longestMs} ms`)), longestMs);
  const result = await Promise.race([trial.run(site), late.promise])
    .then(
      (measured) => ({ found: undefined, measured: measured ?? {} }),
      (error: unknown) => ({ found: wordsOf(error), measured: {} }),
    )
    .finally(() => clearTimeout(timer));
  const tookMs = Math.round(performance.now() - from);
  return { trial: `${name}/${trial.name}`, holds: trial.holds, ...result, tookMs };
}

const wordsOf = (error: unknown): string =>
  error instanceof Error ? `${error.name}: ${error.message}` : String(error);
