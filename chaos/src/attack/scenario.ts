/** Tries every attack on one site, and says which sentences did not hold. */
import type { RunOptions } from "../command.ts";
import type { Attack, AttackCase } from "./attack.ts";
import { Site } from "./site.ts";

/** One attack, as it came out. */
export interface Tried {
  readonly attack: string;
  readonly holds: string;
  /** What was found instead; `undefined` when it held. */
  readonly found: string | undefined;
  readonly tookMs: number;
}

/** One attack may take so long, milliseconds: one that hangs has fallen too. */
const LONGEST_MS = 90_000;

export async function runAttacks(
  options: RunOptions & { readonly cases: readonly AttackCase[] },
): Promise<Tried[]> {
  const { cases, onProgress } = options;
  await using site = await Site.open(options);
  const tried: Tried[] = [];
  const tryOne = async (of: AttackCase, attack: Attack): Promise<void> => {
    const result = await judge(site, of, attack);
    tried.push(result);
    if (result.found !== undefined)
      onProgress(`FELL ${result.attack}: ${result.holds}\n     ${result.found}`);
  };
  const beside = cases
    .filter((each) => each.beside === true)
    .flatMap((of) => of.attacks.map(async (attack) => tryOne(of, attack)));
  for (const of of cases.filter((each) => each.beside !== true)) {
    const from = performance.now();
    // oxlint-disable-next-line no-await-in-loop -- what one measures, the others would disturb
    for (const attack of of.attacks) await tryOne(of, attack);
    onProgress(
      `${of.name}: ${of.attacks.length} attacks, ${((performance.now() - from) / 1_000).toFixed(1)} s`,
    );
  }
  await Promise.all(beside);
  return tried;
}

async function judge(site: Site, { name }: AttackCase, attack: Attack): Promise<Tried> {
  const from = performance.now();
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`It took more than ${LONGEST_MS} ms`)), LONGEST_MS);
  const found = await Promise.race([attack.run(site), late.promise])
    .then(
      () => undefined,
      (error: unknown) => (error instanceof Error ? `${error.name}: ${error.message}` : String(error)),
    )
    .finally(() => clearTimeout(timer));
  const tookMs = Math.round(performance.now() - from);
  return { attack: `${name}/${attack.name}`, holds: attack.holds, found, tookMs };
}
