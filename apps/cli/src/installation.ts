/** What an installation has, as a command finds it: its Redis is there and fit, or the command ends with a sentence. */
import { readPools, type Pools } from "@sluice/config";
import { Installation } from "@sluice/installation";
import { assertFit, connect, isUnfit, tlsHint, type ConnectionProfile } from "@sluice/redis";
import { tell } from "./terminal.ts";

export interface InstallationEnv {
  readonly SLUICE_POOLS: string;
  readonly SLUICE_NAMESPACE: string;
  readonly REDIS_URL: string;
}

/** Its caller closes it. The shared time is known by then. @throws Error saying why Redis does not answer, or may not be used. */
export async function openInstallation(
  env: InstallationEnv,
  profile: ConnectionProfile,
): Promise<Installation> {
  const pools = await readPools(env.SLUICE_POOLS);
  tellWarnings(pools);
  let unreachable: Error | undefined;
  const installation = new Installation({
    pools,
    namespace: env.SLUICE_NAMESPACE,
    redisUrl: env.REDIS_URL,
    profile,
    onError: (error) => (unreachable = error instanceof Error ? error : undefined),
  });
  try {
    await untilFit(installation.redis, () => unreachable);
    await installation.redisClock.known();
    return installation;
  } catch (error) {
    await installation.close();
    throw error;
  }
}

/** @throws Error saying why the Redis at this URL does not answer, or may not be used. */
export async function assertRedis(url: string): Promise<void> {
  let unreachable: Error | undefined;
  const redis = connect(url, "command", (error) => (unreachable = error));
  try {
    await untilFit(redis, () => unreachable);
  } finally {
    redis.disconnect();
  }
}

async function untilFit(redis: Installation["redis"], unreachable: () => Error | undefined): Promise<void> {
  try {
    await assertFit(redis);
  } catch (error) {
    if (isUnfit(error)) throw error;
    const reason = unreachable()?.message ?? (error instanceof Error ? error.message : String(error));
    throw new Error(`Redis at REDIS_URL does not answer: ${reason}${tlsHint(redis)}`, { cause: error });
  }
}

function tellWarnings({ warnings }: Pools): void {
  for (const { line, message } of warnings) {
    tell(`sluice: warning: ${line === undefined ? "" : `line ${line}: `}${message}`);
  }
}
