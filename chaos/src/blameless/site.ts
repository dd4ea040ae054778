/** A fleet of one or two workers with what lies between it and Bedrock, and how it is made ill and well again. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Services } from "@sluice/services";
import { addFaults } from "../faults.ts";
import { startInstallation, type Installation } from "../installation.ts";
import type { Started } from "../process.ts";
import { startProxyTo } from "../proxy.ts";
import { startSupervised } from "../supervisor.ts";
import { CREDENTIALS_FILE, SLAMMED, type BlamelessFault } from "./faults.ts";
import { poolsFile, type Arm, type Case } from "./plan.ts";

/** So long all is well before a fault begins, where it can begin later than its workers. */
export const LEAD_MS = 4_000;

export interface Site extends AsyncDisposable {
  readonly installation: Installation;
  /** Begins the fault after the lead, and ends it. Resolves to the moment in which it had ended. */
  suffer(fault: BlamelessFault, arms: readonly Arm[], faultMs: number): Promise<number>;
  /** How often the workers have said that the fault met one of these jobs, or themselves, where no simulator sees it. */
  felt(ids: readonly string[]): number;
}

/** Workers that are well; faults are those of the simulator. Cases share it. */
export async function openSharedSite(
  services: Services,
  cases: readonly Case[],
  workers: 1 | 2,
): Promise<Site> {
  const installation = await install(services, cases);
  await startWorkers(installation, workers, {});
  return {
    installation,
    async suffer({ ailment, released }, arms, faultMs) {
      if (ailment.at !== "model") throw new TypeError("Expected a fault of the model");
      const { fault, rate = 1 } = ailment;
      const from = Date.now();
      const rules = arms.map(({ model }) => ({ model, fault, rate, afterMs: LEAD_MS, forMs: faultMs }));
      await addFaults(services.simulatorUrl, rules);
      await until(from + LEAD_MS + faultMs);
      if (released === true) {
        for (const { pool } of arms) await installation.limiter(pool).operate(pool, { type: "release-day" });
      }
      return Date.now();
    },
    // The simulator counts them.
    felt: () => 0,
    [Symbol.asyncDispose]: async () => close(installation),
  };
}

/** Workers of one case, whose way to Bedrock or whose start is at fault. */
export async function openOwnSite(services: Services, own: Case): Promise<Site> {
  const { fault, workers } = own;
  const { ailment } = fault;
  const installation = await install(services, [own]);
  await using made = new AsyncDisposableStack();
  made.defer(async () => close(installation));
  const proxy = made.use(await startProxyTo(services.simulatorUrl));
  if (ailment.at === "way") {
    await startWorkers(installation, workers, { AWS_ENDPOINT_URL_BEDROCK_RUNTIME: proxy.url });
    return site(made, async (faultMs) => {
      await until(Date.now() + LEAD_MS);
      proxy.set(ailment.weather);
      await until(Date.now() + faultMs);
      proxy.set({});
    });
  }
  if (ailment.at !== "worker") throw new TypeError("Expected a fault of the way or of the workers");
  proxy.set({ door: "slammed" });
  const credentials = join(services.runFolder, `credentials-${fault.name}-${workers}`);
  const misled = Object.fromEntries(
    Object.entries(ailment.env).map(([name, value]) => [
      name,
      value.replace(SLAMMED, proxy.url.replace("http:", "https:")).replace(CREDENTIALS_FILE, credentials),
    ]),
  );
  const sick = fault.workers === "one" ? 1 : workers;
  const misledWorkers = await startWorkers(installation, sick, misled);
  await startWorkers(installation, workers - sick, {});
  return site(made, async (faultMs) => {
    await until(Date.now() + LEAD_MS + faultMs);
    if (ailment.mend === "write") {
      await writeFile(credentials, "[default]\naws_access_key_id = local\naws_secret_access_key = local\n");
      return;
    }
    for (const worker of misledWorkers) worker.kill("SIGTERM");
    await startWorkers(installation, sick, {});
  });

  function site(stack: AsyncDisposableStack, sufferFor: (faultMs: number) => Promise<void>): Site {
    const moved = stack.move();
    return {
      installation,
      async suffer(_fault, _arms, faultMs) {
        await sufferFor(faultMs);
        return Date.now();
      },
      felt: (ids) => countFelt(installation.workers, new Set(ids)),
      [Symbol.asyncDispose]: async () => moved.disposeAsync(),
    };
  }
}

async function install(services: Services, cases: readonly Case[]): Promise<Installation> {
  return startInstallation({
    pools: poolsFile(cases),
    folder: services.runFolder,
    locks: "shipped",
    ...services,
  });
}

async function startWorkers(
  installation: Installation,
  count: number,
  env: Readonly<Record<string, string>>,
) {
  return Promise.all(Array.from({ length: count }, async () => startSupervised(installation, env)));
}

/** Calls that failed and were tried again, and processes that had no credentials to call with. */
function countFelt(workers: readonly Started[], ids: ReadonlySet<string>): number {
  const lines = workers.flatMap((worker) => worker.lines);
  return lines.filter(
    ({ msg, id }) => msg === "identity:lost" || (msg === "job:retry" && ids.has(String(id))),
  ).length;
}

/** In peace first, so that nothing is cut off whose end would be missing in the evidence. */
async function close(installation: Installation): Promise<void> {
  await installation.stop();
  await installation[Symbol.asyncDispose]();
}

async function until(at: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  setTimeout(resolve, Math.max(0, at - Date.now()));
  return promise;
}
