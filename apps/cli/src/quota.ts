/** `sluice quota`: a pool's limits as they are, changed at run time, and taken back. */
import type { Pool } from "@sluice/config";
import { latest, madeBy, quotaOverrides, type Quota, type QuotaChange } from "@sluice/limits";
import { openDeployment, type Deployment } from "./deployment.ts";
import { accountHere } from "./operator.ts";
import { overrideLine, QUOTAS, quotaView, strayRows } from "./quota-view.ts";
import { print, printJson, tell } from "./terminal.ts";

export async function showQuota(name: string, { json }: { readonly json: boolean }): Promise<void> {
  await using deployment = await openDeployment();
  const { pool, inFile } = await deployment.find(name);
  const strayLanes = await deployment.strayLanes(pool);
  const [inspection, entries, operations] = await Promise.all([
    deployment.inspect(pool),
    deployment.quotaLog(pool).entries(pool.name, HISTORY),
    deployment.operations(pool).entries(pool.name, HISTORY),
  ]);
  if (inspection === undefined) {
    if (json) printJson({ pool: pool.name, strayLanes });
    else print([`${pool.name}: no worker has started this pool yet`, ...strayRows(strayLanes)].join("\n"));
    return;
  }
  const { quota } = inspection.limits;
  const view = {
    ...inspection,
    inFile: inFile !== undefined,
    workers: await deployment.workers(pool, inspection),
    overrides: inFile === undefined ? [] : quotaOverrides(quota, deployment.declared(inFile).quota),
    setBy: madeBy(entries, quota),
    changes: entries,
    operations: latest(operations),
    strayLanes,
  };
  if (json) printJson(view);
  else print(quotaView(view));
}

/**
 * @param by who does it, for those who wonder later. Default: the user of this machine.
 * @throws Error saying what is wrong with a setting, or that it is far off the file; nothing is changed then.
 */
export async function setQuota(
  name: string,
  settings: readonly string[],
  { yes, by, json }: { readonly yes: boolean; readonly by?: string; readonly json: boolean },
): Promise<void> {
  const change = Object.fromEntries(settings.map(parseSetting));
  await using deployment = await openDeployment();
  const pool = deployment.pool(name);
  const action = `quota set ${settings.join(" ")}`;
  const version = await changeQuota(deployment, pool, change, { yes, by, action });
  if (json) printJson({ pool: name, version });
  else
    print(
      `Limits of ${name} are now version ${version}, for every worker, until the pools file says something new. ` +
        `\`sluice quota reset ${name}\` takes it back`,
    );
}

/** Back to what the pools file says. */
export async function resetQuota(
  name: string,
  { by, json }: { readonly by?: string; readonly json: boolean },
): Promise<void> {
  await using deployment = await openDeployment();
  const pool = deployment.pool(name);
  const { quota } = deployment.declared(pool);
  const change = Object.fromEntries(Object.values(QUOTAS).map((each) => [each, quota[each] ?? null]));
  const version = await changeQuota(deployment, pool, change, { yes: true, by, action: "quota reset" });
  if (json) printJson({ pool: name, version });
  else print(`Limits of ${name} are as the pools file has them: version ${version}, for every worker`);
}

/** Changes shown of the past. */
const HISTORY = 10;

async function changeQuota(
  deployment: Deployment,
  pool: Pool,
  change: QuotaChange,
  {
    yes,
    by = accountHere(),
    action,
  }: { readonly yes: boolean; readonly by?: string | undefined; readonly action: string },
): Promise<number> {
  const limiter = deployment.limiter(pool);
  const from = (await limiter.inspect(pool.name)).limits.quota;
  const to = changed(from, change);
  const far = quotaOverrides(to, deployment.declared(pool).quota).filter(
    (override) => override.far && override.quota in change,
  );
  if (far.length > 0) {
    const lines = far.map((override) => `  ${overrideLine(override)}`).join("\n");
    const why = "What Bedrock's quota does not carry is throttled, what it carries beyond is left unused";
    if (!yes)
      throw new Error(`This is far off the pools file:\n${lines}\n${why}. Repeat with --yes if it is meant`);
    tell(`sluice: warning: far off the pools file:\n${lines}`);
  }
  // First the entries: a change that somebody may wonder about is never one that nobody made.
  return deployment.operations(pool).record(pool.name, { by, from: accountHere(), action }, async () => {
    await deployment.quotaLog(pool).add(pool.name, { atMs: deployment.clock(), by, from, to });
    return limiter.setQuota(pool.name, change);
  });
}

function changed(quota: Quota, change: QuotaChange): Quota {
  return Object.fromEntries(Object.entries({ ...quota, ...change }).filter(([, value]) => value !== null));
}

function parseSetting(setting: string): [keyof QuotaChange, number | null] {
  const [name = "", value = ""] = setting.split("=", 2);
  const quota = Object.hasOwn(QUOTAS, name) ? QUOTAS[name] : undefined;
  if (quota === undefined) {
    throw new Error(`Expected a quota of ${Object.keys(QUOTAS).join(", ")}, got '${name}'`);
  }
  if (value === "none") return [quota, null];
  const amount = Number(value);
  if (!(amount > 0 && Number.isFinite(amount))) {
    throw new Error(`Expected ${name}=<a number above 0, or none>, got '${setting}'`);
  }
  return [quota, amount];
}
