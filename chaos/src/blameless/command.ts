/** `pnpm chaos blameless`: the table for people, four figures for everybody else. */
import type { CommandContext, Verdict } from "../command.ts";
import { table } from "../table.ts";
import { FAULTS } from "./faults.ts";
import { boundOf } from "./recovery.ts";
import { runBlameless, type BlamelessRow } from "./scenario.ts";

export async function blamelessCommand(context: CommandContext): Promise<Verdict> {
  const { seed, cases, list, ...common } = context;
  if (list) return { isGood: true, figures: { faults: FAULTS.map(({ name }) => name) } };
  const { sums, rows, failures } = await runBlameless({ ...common, seed, cases });
  for (const line of show(rows)) common.onProgress(line);
  const vacuous = rows.filter((row) => row.vacuous).length;
  if (vacuous > 0) common.onProgress(`${vacuous} arms prove nothing: no call met their fault`);
  for (const failure of failures) common.onProgress(failure);
  const late = rows.filter((row) => row.late).map(describeLate);
  for (const line of late) common.onProgress(`Late: ${line}`);
  const { jobs, ...wrong } = sums;
  const wrongs = Object.values(wrong).reduce((sum, count) => sum + count, 0);
  const isGood = failures.length + wrongs + vacuous + late.length === 0;
  return { isGood, figures: { jobs, ...wrong, vacuous, late } };
}

function describeLate(row: BlamelessRow): string {
  const { fault, workers, jobs, arrival, shape, firstAnswerS } = row;
  const back = firstAnswerS === undefined ? "never" : `${firstAnswerS.toFixed(1)} s`;
  return `${fault}, ${workers} w, ${jobs} ${arrival}, ${shape}: ${back}, at most ${boundOf(row)} s`;
}

function show(rows: readonly BlamelessRow[]): string[] {
  const heads =
    "fault,workers,jobs,arrival,asked by,answered,otherwise,dead,lost,twice,struck,calls,paid for,back s,at most,drained s,died of";
  return table(
    heads.split(","),
    rows.map((row) => [
      row.fault,
      row.workers,
      row.jobs,
      row.arrival,
      row.shape,
      row.answered,
      row.otherwise,
      row.dead,
      row.lost,
      row.paidTwice,
      row.struck,
      row.maxCalls,
      row.maxPaidFor,
      row.firstAnswerS?.toFixed(1) ?? "-",
      boundOf(row),
      row.drainedS?.toFixed(1) ?? "-",
      Object.entries(row.deadOf)
        .map(([errorClass, count]) => `${count} ${errorClass}`)
        .join(", "),
    ]),
  );
}
