/** Everything Sluice runs against, on loopback: Redis, DynamoDB and the Bedrock simulator. */
import { rm } from "node:fs/promises";
import { checkDynamoDb, startDynamoDb } from "./dynamodb.ts";
import type { Host } from "./host.ts";
import { checkRedis, startRedis } from "./redis.ts";
import { makeRunFolder } from "./run-folder.ts";
import { startSimulator } from "./simulator.ts";
import type { RunningService } from "./service.ts";

export type ServiceName = "redis" | "dynamoDb" | "simulator";

export interface ServicesOptions<Name extends ServiceName = ServiceName> {
  /** Folder for data and logs, e.g. `.sluice`. Each run makes a folder of its own in it and reuses nothing. */
  readonly dataDir: string;
  /** Use this Redis and start none. Whether that is safe, the caller has decided. */
  readonly redisUrl?: string | undefined;
  /** Use this DynamoDB and start none. */
  readonly dynamoDbUrl?: string | undefined;
  /** The simulator's models table and further arguments. Default: its own. */
  readonly simulator?: { readonly models?: unknown; readonly args?: readonly string[] } | undefined;
  /** Which services are wanted. Default: all. */
  readonly only?: readonly Name[] | undefined;
  /** Leave this run's folder in place on `stop`. Default: false, it is removed. */
  readonly keepData?: boolean | undefined;
  /** Hears what is being done, one line each, for a terminal. Default: nobody. */
  readonly onProgress?: ((line: string) => void) | undefined;
  /** Where to look for programs and keep downloads. Default: this machine's PATH and cache folder. */
  readonly host?: Host | undefined;
}

/** Where a service came from. */
export interface Found {
  /** `given`, or what was started, e.g. `/usr/bin/redis-server`. */
  readonly origin: string;
  /** Process id of what was started; null for a given one. */
  readonly pid: number | null;
}

/** A URL for each wanted service: `redisUrl`, `dynamoDbUrl`, `simulatorUrl`. */
export type Services<Name extends ServiceName = ServiceName> = Readonly<Record<`${Name}Url`, string>> &
  AsyncDisposable & {
    /** How each came to be, for a summary. */
    readonly found: Readonly<Record<Name, Found>>;
    /** This run's folder with logs and data. */
    readonly runFolder: string;
    /** Ends what was started here, waits for that, and removes the run's folder. Further calls do nothing. */
    stop(): Promise<void>;
  };

/**
 * Finds or starts the services, at the same time, and waits until each answers.
 *
 * Call `stop()` when done. If this process ends without it, by a signal, a crash or SIGKILL, the services end
 * by themselves, and the next start removes the data. No signal handler is installed here.
 * @throws ServicesError when one cannot be had; what was started by then is stopped.
 */
export async function startServices<const Name extends ServiceName = ServiceName>(
  options: ServicesOptions<Name>,
): Promise<Services<Name>> {
  const wanted: readonly ServiceName[] = options.only ?? ["redis", "dynamoDb", "simulator"];
  const runFolder = await makeRunFolder(options.dataDir);
  const starts = await Promise.allSettled(
    wanted.map(async (name) => ({ name, service: await start[name](options, runFolder) })),
  );
  const had = starts.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : []));
  let stopped: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    stopped ??= end(
      had.map(({ service }) => service),
      options.keepData === true ? undefined : runFolder,
    );
    return stopped;
  };

  const failure = starts.find((outcome) => outcome.status === "rejected");
  if (failure !== undefined) {
    // The folder stays for its logs; the next start removes it.
    await end(
      had.map(({ service }) => service),
      undefined,
    );
    throw failure.reason;
  }
  const urls = Object.fromEntries(had.map(({ name, service }) => [`${name}Url`, service.url]));
  const found = Object.fromEntries(
    had.map(({ name, service }): [string, Found] => [name, { origin: service.origin, pid: service.pid }]),
  );
  const services: unknown = { ...urls, found, runFolder, stop, [Symbol.asyncDispose]: stop };
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- fromEntries forgets that the names are `wanted`
  return services as Services<Name>;
}

type Had = Found & Pick<RunningService, "url" | "stop">;

const start: Record<ServiceName, (options: ServicesOptions, runFolder: string) => Promise<Had>> = {
  async redis({ redisUrl, onProgress, host }, dataDir) {
    if (redisUrl === undefined) return startRedis({ dataDir, onProgress, host });
    await checkRedis(redisUrl);
    return given(redisUrl);
  },
  async dynamoDb({ dynamoDbUrl }, dataDir) {
    if (dynamoDbUrl === undefined) return startDynamoDb({ dataDir });
    await checkDynamoDb(dynamoDbUrl);
    return given(dynamoDbUrl);
  },
  async simulator({ simulator }, dataDir) {
    return startSimulator({ ...simulator, dataDir });
  },
};

function given(url: string): Had {
  return { url, origin: "given", pid: null, stop: async () => {} };
}

async function end(services: readonly Had[], folder: string | undefined): Promise<void> {
  await Promise.all(services.map(async (service) => service.stop()));
  if (folder !== undefined) await rm(folder, { recursive: true, force: true });
}
