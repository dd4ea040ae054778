/** `pnpm chaos sporadic`: the share answered of each arm, then how soon a fleet is at full speed after a storm. */
import type { CommandContext, Verdict } from "../command.ts";
import { table } from "../table.ts";
import { ARMS, DEFAULT_ARMS } from "./arms.ts";
import { offer, type Offered } from "./offer.ts";
import { storm, type StormFigures } from "./storm.ts";

/** Of what was offered. */
const ANSWERED_LEAST = 0.85;
const FULL_WITHIN_S = 60;

const STORM = "storm";

export async function sporadicCommand(context: CommandContext): Promise<Verdict> {
  const { cases, list, ...common } = context;
  const names = [...ARMS.map(({ name }) => name), STORM];
  if (list) return { isGood: true, figures: { cases: names } };
  const unknown = cases?.filter((name) => !names.includes(name)) ?? [];
  if (unknown.length > 0) throw new RangeError(`There is no case ${unknown.join(", ")}; --list has all`);
  const arms = cases === undefined ? DEFAULT_ARMS : ARMS.filter(({ name }) => cases.includes(name));
  const offered = arms.length > 0 ? await offer({ ...common, arms }) : [];
  const after = cases === undefined || cases.includes(STORM) ? await storm(common) : undefined;
  for (const line of show(offered)) common.onProgress(line);
  const answered = Object.fromEntries(offered.map(({ arm, share }) => [arm, share]));
  return {
    isGood: offered.every(isGood) && (after === undefined || isCalm(after)),
    figures: { answered, ...(after === undefined ? {} : { storm: after }) },
  };
}

function isGood({ share, dead }: Offered): boolean {
  return share >= ANSWERED_LEAST && dead === 0;
}

function isCalm({ dead, lost, paidTwice, fullAfterS }: StormFigures): boolean {
  return dead + lost + paidTwice === 0 && fullAfterS !== null && fullAfterS <= FULL_WITHIN_S;
}

function show(offered: readonly Offered[]): string[] {
  return table(
    ["arm", "offered", "answered", "share", "dead"],
    offered.map((row) => [row.arm, row.offered, row.answered, row.share, row.dead]),
  );
}
