/** `pnpm chaos attack`: what fell, and how many were tried. */
import type { CommandContext, Verdict } from "../command.ts";
import type { AttackCase } from "./attack.ts";
import { CASES } from "./cases.ts";
import { runAttacks } from "./scenario.ts";

export async function attackCommand(context: CommandContext): Promise<Verdict> {
  const { cases, list, ...common } = context;
  if (list) return { isGood: true, figures: sentences() };
  const tried = await runAttacks({ ...common, cases: select(cases) });
  const fallen = tried.filter(({ found }) => found !== undefined);
  const slowest = tried.toSorted((a, b) => b.tookMs - a.tookMs).slice(0, 5);
  common.onProgress(`slowest: ${slowest.map(({ attack, tookMs }) => `${attack} ${tookMs} ms`).join(", ")}`);
  const figures = {
    attacks: tried.length,
    fell: fallen.length,
    fallen: fallen.map(({ attack, holds, found }) => ({ attack, holds, found })),
  };
  return { isGood: fallen.length === 0 && tried.length > 0, figures };
}

/** @throws RangeError naming a case that there is not. */
function select(names: readonly string[] | undefined): readonly AttackCase[] {
  if (names === undefined) return CASES;
  const unknown = names.find((name) => CASES.every((each) => each.name !== name));
  if (unknown !== undefined) throw new RangeError(`There is no case '${unknown}'; --list has all`);
  return CASES.filter(({ name }) => names.includes(name));
}

/** What must hold, by case and attack. */
function sentences(): Record<string, Record<string, string>> {
  return Object.fromEntries(
    CASES.map(({ name, attacks }) => [
      name,
      Object.fromEntries(attacks.map((each) => [each.name, each.holds])),
    ]),
  );
}
