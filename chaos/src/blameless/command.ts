/** `pnpm chaos blameless`: the table for people, four figures for everybody else. */
import type { CommandContext, Verdict } from "../command.ts";
import { table } from "../table.ts";
import { FAULTS } from "./faults.ts";
import { runBlameless, type BlamelessRow } from "./scenario.ts";

export async function blamelessCommand(context: CommandContext): Promise<Verdict> {
  const { seed, cases, list, ...common } = context;
  if (list) return { isGood: true, figures: { faults: FAULTS.map(({ name }) => name) } };
  const { sums, rows, failures } = await runBlameless({ ...common, seed, cases });
  for (const line of show(rows)) common.onProgress(line);
  const vacuous = rows.filter((row) => row.vacuous).length;
  if (vacuous > 0) common.onProgress(`${vacuous} arms prove nothing: no call met their fault`);
  for (const failure of failures) common.onProgress(failure);
  const isGood = failures.length === 0 && sums.dead + sums.lost + sums.paidTwice + vacuous === 0;
  return { isGood, figures: sums };
}

function show(rows: readonly BlamelessRow[]): string[] {
  const heads =
    "fault,workers,jobs,arrival,asked by,answered,dead,lost,twice,struck,calls,paid for,back s,drained s,died of";
  return table(
    heads.split(","),
    rows.map((row) => [
      row.fault,
      row.workers,
      row.jobs,
      row.arrival,
      row.shape,
      row.answered,
      row.dead,
      row.lost,
      row.paidTwice,
      row.struck,
      row.maxCalls,
      row.maxPaidFor,
      row.firstAnswerS?.toFixed(1) ?? "-",
      row.drainedS?.toFixed(1) ?? "-",
      Object.entries(row.deadOf)
        .map(([errorClass, count]) => `${count} ${errorClass}`)
        .join(", "),
    ]),
  );
}
