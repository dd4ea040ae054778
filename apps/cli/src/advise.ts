/** `sluice advise`: what calls reserve against what they use, and where a tighter `maxTokens` would pay. */
import type { ClassUsage } from "@sluice/results";
import { openDeployment } from "./deployment.ts";
import { print, printJson } from "./terminal.ts";

/** Room above the longest answer seen, so that the advice cuts nobody short. */
const HEADROOM = 1.25;

/** A saving below this is not worth a change. */
const WORTHWHILE = 0.9;

/** The `maxTokens` that every answer so far would have fitted into; `undefined` when it is tight already. Pure. */
export function advisedMaxTokens({ maxTokens, longestOutputTokens }: ClassUsage): number | undefined {
  const advised = Math.ceil((longestOutputTokens * HEADROOM) / 10) * 10;
  return advised < maxTokens * WORTHWHILE ? advised : undefined;
}

export async function advise({ json }: { readonly json: boolean }): Promise<void> {
  await using deployment = await openDeployment();
  const pools = await Promise.all(
    deployment.pools.map(async (pool) => ({
      pool: pool.name,
      classes: (await deployment.usage(pool).report(pool.name)).map((usage) => ({
        ...usage,
        advisedMaxTokens: advisedMaxTokens(usage) ?? null,
      })),
    })),
  );
  if (json) printJson({ pools });
  else print(pools.map(render).join("\n"));
}

function render({
  pool,
  classes,
}: {
  readonly pool: string;
  readonly classes: readonly (ClassUsage & { readonly advisedMaxTokens: number | null })[];
}): string {
  if (classes.length === 0) return `${pool}: no answered calls yet`;
  const rows = classes.map(({ promptClass, calls, advisedMaxTokens: advised, ...mean }) => {
    const advice = advised === null ? "maxTokens is tight" : `maxTokens ${number(advised)} would do`;
    return [
      `  ${promptClass}: ${number(calls)} ${calls === 1 ? "call" : "calls"}, ${advice}`,
      `    reserves ${number(mean.reservedTokens)} and uses ${number(mean.settledTokens)} tokens a call`,
      `    allows ${number(mean.maxTokens)} of output, writes ${number(mean.outputTokens)}, at most ${number(mean.longestOutputTokens)}`,
    ].join("\n");
  });
  return [`${pool}:`, ...rows].join("\n");
}

function number(value: number): string {
  return Math.round(value).toLocaleString("en");
}
