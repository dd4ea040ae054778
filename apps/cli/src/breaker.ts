/** `sluice breaker`: a pool's breaker and the scope's day, moved by hand. */
import type { OperatorAction } from "@sluice/limits";
import { accountHere } from "./operator.ts";
import { openDeployment } from "./deployment.ts";
import { print } from "./terminal.ts";

export async function operateBreaker(
  name: string,
  action: string,
  { forSeconds, by = accountHere() }: { readonly forSeconds: number; readonly by?: string },
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
  const told =
    changes.length === 0 ? "Nothing changed" : changes.map((change) => JSON.stringify(change)).join("\n");
  print(told);
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
      throw new Error(`Expected open, close, isolate or release-day, got '${action}'`);
  }
}
