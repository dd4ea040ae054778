/** The lane in which a job is admitted in another pool than its own. Pure. */

/**
 * The lane of the same name, else the one of the same rank, else the least urgent that there is.
 * @param lanes both from most to least urgent; `from` are those of the job's own pool.
 */
export function laneOfRank(
  lane: string,
  { from, to }: { readonly from: readonly string[]; readonly to: readonly string[] },
): string {
  if (to.includes(lane)) return lane;
  return to[Math.min(from.indexOf(lane), to.length - 1)] ?? lane;
}
