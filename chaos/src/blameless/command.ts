/** `pnpm chaos blameless`: the table for people, four figures for everybody else. */
import type { CommandContext, Verdict } from "../command.ts";
import { table } from "../table.ts";
import { FAULTS } from "./faults.ts";
import { runBlameless, type BlamelessRow } from "./scenario.ts";

export async function blamelessCommand(context: CommandContext): Promise<Verdict> {
  const { seed, cases, list, ...common } = context;
  if (list) return { isGood: true, figures: { faults: FAULTS.map(({ name }) => name) } };
  const { sums, rows } = await runBlameless({ ...common, seed, cases });
  for (const line of show(rows)) common.onProgress(line);
  const isGood = sums.dead === 0 && sums.lost === 0 && sums.paidTwice === 0;
  return { isGood, figures: sums };
}

function show(rows: readonly BlamelessRow[]): string[] {
  const heads =
    "fault,workers,jobs,arrival,asked by,answered,dead,lost,twice,calls,paid for,back s,drained s,died of";
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
