/** `pnpm chaos lanes`: for each fleet, the worse of the sizes of jobs. */
import type { CommandContext, Verdict } from "../command.ts";
import { table } from "../table.ts";
import { runLanes, SIZES, type LanesRow } from "./scenario.ts";
import { BULK_MOST, USED_LEAST, worse, type Shares } from "./shares.ts";

export async function lanesCommand(context: CommandContext): Promise<Verdict> {
  const { cases, list, ...common } = context;
  if (list) return { isGood: true, figures: { tokens: SIZES.map(({ tokens }) => String(tokens)) } };
  const sizes = SIZES.filter(({ tokens }) => cases === undefined || cases.includes(String(tokens)));
  if (sizes.length === 0)
    throw new RangeError(`There are no jobs of ${cases?.join(", ")} tokens; --list has all`);
  const rows = await runLanes({ ...common, sizes });
  for (const line of show(rows)) common.onProgress(line);
  const workers: Record<number, Shares> = {};
  for (const { workers: fleet, bulk, standard, used } of rows) {
    const shares = { bulk, standard, used };
    workers[fleet] = worse(shares, workers[fleet] ?? shares);
  }
  return { isGood: rows.every(isGood), figures: { workers } };
}

function isGood({ bulk, used, leastBulk }: LanesRow): boolean {
  return bulk >= leastBulk && bulk <= BULK_MOST && used >= USED_LEAST;
}

function show(rows: readonly LanesRow[]): string[] {
  return table(
    ["workers", "tokens", "bulk", "at least", "at most", "standard", "used", "at least"],
    rows
      .toSorted((a, b) => a.workers - b.workers || b.tokens - a.tokens)
      .map(({ workers, tokens, bulk, leastBulk, standard, used }) => [
        workers,
        tokens,
        bulk.toFixed(3),
        leastBulk.toFixed(3),
        BULK_MOST,
        standard.toFixed(3),
        used.toFixed(3),
        USED_LEAST,
      ]),
  );
}
