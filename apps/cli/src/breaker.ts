/** `sluice breaker`: a pool's breaker and the scope's day, moved by hand. */
import type { LimitsChange, OperatorAction } from "@sluice/limits";
import { accountHere } from "./operator.ts";
import { openDeployment } from "./deployment.ts";
import { print, printJson } from "./terminal.ts";

/** As they are typed. */
export const BREAKER_ACTIONS: readonly OperatorAction["type"][] = ["open", "close", "isolate", "release-day"];

export async function operateBreaker(
  name: string,
  action: string,
  {
    forSeconds,
    by = accountHere(),
    json,
  }: { readonly forSeconds: number; readonly by?: string; readonly json: boolean },
): Promise<void> {
  const wanted = parseAction(action, forSeconds);
  await using deployment = await openDeployment();
  const pool = deployment.pool(name);
  const what = wanted.type === "open" ? `breaker open for ${forSeconds} s` : `breaker ${wanted.type}`;
  const changes = await deployment
    .operations(pool)
    .record(pool.name, { by, from: accountHere(), action: what }, async () =>
      deployment.limiter(pool).operate(pool.name, wanted),
    );
  if (json) printJson({ pool: pool.name, changes });
  else print(changes.length === 0 ? `${pool.name} is so already` : changes.map(lineOf).join("\n"));
}

/** What has changed, for people. */
function lineOf(change: LimitsChange): string {
  if (change.type === "breaker") {
    const { pool, from, to, untilMs } = change;
    return `${pool}: breaker ${from} -> ${to}${untilMs === 0 ? "" : `, tries a call at ${timeOf(untilMs)}`}`;
  }
  if (change.type === "day") {
    const { pool, untilMs } = change;
    return untilMs === 0 ? `${pool}: takes calls again today` : `${pool}: parked until ${timeOf(untilMs)}`;
  }
  return JSON.stringify(change);
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString();
}

function parseAction(action: string, forSeconds: number): OperatorAction {
  switch (action) {
    case "open":
      return { type: action, forMs: forSeconds * 1_000 };
    case "close":
    case "isolate":
    case "release-day":
      return { type: action };
    default:
      throw new Error(`Expected ${BREAKER_ACTIONS.join(", ")}, got '${action}'`);
  }
}
