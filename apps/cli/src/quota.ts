/** `sluice quota` and `sluice breaker`: a pool's limits and breaker as they are, and changed at run time. */
import type { Inspection, OperatorAction, QuotaChange } from "@sluice/limits";
import { openDeployment } from "./deployment.ts";

/** Names as people type them. */
const QUOTAS: Readonly<Record<string, keyof QuotaChange>> = {
  "requests-per-minute": "requestsPerMinute",
  "tokens-per-minute": "tokensPerMinute",
  "input-tokens-per-minute": "inputTokensPerMinute",
  "output-tokens-per-minute": "outputTokensPerMinute",
  "tokens-per-day": "tokensPerDay",
};

export async function showQuota(name: string, { json }: { readonly json: boolean }): Promise<void> {
  await using deployment = await openDeployment();
  const pool = deployment.pool(name);
  const inspection = await deployment.limiter(pool).inspect(pool.name);
  print(json ? JSON.stringify(inspection) : render(inspection));
}

/** @throws Error saying what is wrong with a setting; nothing is changed then. */
export async function setQuota(name: string, settings: readonly string[]): Promise<void> {
  const change = Object.fromEntries(settings.map(parseSetting));
  await using deployment = await openDeployment();
  const pool = deployment.pool(name);
  const version = await deployment.limiter(pool).setQuota(pool.name, change);
  print(
    `Limits of ${name} are now version ${version}, for every worker, until the pools file says something new`,
  );
}

export async function operateBreaker(
  name: string,
  action: string,
  { forSeconds }: { readonly forSeconds: number },
): Promise<void> {
  await using deployment = await openDeployment();
  const pool = deployment.pool(name);
  const changes = await deployment.limiter(pool).operate(pool.name, parseAction(action, forSeconds));
  print(
    changes.length === 0 ? "Nothing changed" : changes.map((change) => JSON.stringify(change)).join("\n"),
  );
}

function parseSetting(setting: string): [keyof QuotaChange, number | null] {
  const [name = "", value = ""] = setting.split("=", 2);
  const quota = QUOTAS[name];
  if (quota === undefined) {
    throw new Error(`Expected a quota of ${Object.keys(QUOTAS).join(", ")}, got '${name}'`);
  }
  if (value === "none") return [quota, null];
  const amount = Number(value);
  if (!(amount > 0)) throw new Error(`Expected \`${name}\` to be a number above 0 or 'none', got '${value}'`);
  return [quota, amount];
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

function render({ pool, version, dimensions, breaker, day, reservations, lanes }: Inspection): string {
  const rows = Object.entries(dimensions).map(
    ([name, { level, perMinute, ceiling }]) =>
      `  ${name.padEnd(14)} ${Math.round(perMinute).toLocaleString("en")} a minute in use` +
      `   level ${Math.round(level).toLocaleString("en")}   ceiling ${(ceiling * 100).toFixed(0)} %`,
  );
  const parked = day.parkedUntilMs === 0 ? "" : `, parked until ${new Date(day.parkedUntilMs).toISOString()}`;
  return [
    `${pool}: breaker ${breaker.phase}, ${reservations} calls in flight, limits version ${version}`,
    ...rows,
    ...(day.quota === undefined ? [] : [`  tokens-per-day ${day.used} of ${day.quota} used${parked}`]),
    `  lanes ${lanes.map(({ name }) => name).join(", ")}`,
  ].join("\n");
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
