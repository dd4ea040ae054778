/**
 * A primary with its replica behind one name: what a managed Redis is to those who connect to it. Connections that are
 * open stay where they are when the name leads elsewhere, as TCP connections do when DNS changes.
 */
import { once } from "node:events";
import { connect as dial, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import { startRedis, type RedisOptions } from "./redis.ts";
import type { RunningService } from "./service.ts";

export interface ReplicaPair extends AsyncDisposable {
  /** The name: new connections to it lead to the primary. */
  readonly url: string;
  /** The primary until a fail-over. */
  readonly first: RunningService;
  /** Its replica until a fail-over. */
  readonly second: RunningService;
  /**
   * Makes the second the primary as an operator would who plans it: writes wait until the replica has all. Resolves when
   * the first is its replica. Connections to the first stay open.
   */
  readonly failOver: (options?: FailOverOptions) => Promise<void>;
  /** Makes the second the primary at once, as when the first is given up. What it has not been sent is lost. */
  readonly promote: (options?: FailOverOptions) => Promise<void>;
  /** From now on the name leads there. Changes no roles. */
  readonly leadTo: (service: RunningService) => void;
}

export interface FailOverOptions {
  /** `false`: the name leads to the first still, as one does that was looked up before. Default true. */
  readonly leads?: boolean;
}

/** A primary waits for further replicas before it sends its data. */
const AT_ONCE = ["--repl-diskless-sync-delay", "0"];

const LINK_MS = 10_000;
const STEP_MS = 10;

/** @throws ServicesError as `startRedis`; Error when the replica cannot follow within 10 s. */
export async function startReplicaPair(options: RedisOptions): Promise<ReplicaPair> {
  await using stack = new AsyncDisposableStack();
  const settings = [...AT_ONCE, ...(options.settings ?? [])];
  const start = async (name: string): Promise<RunningService> =>
    stack.use(await startRedis({ ...options, settings, dataDir: join(options.dataDir, name) }));
  const first = await start("first");
  const second = await start("second");
  const name = stack.use(await startName(first.url));
  const ask = (service: RunningService): Redis => {
    const redis = new Redis(service.url, { replyMapping: "legacy" });
    redis.on("error", () => {});
    stack.defer(() => redis.disconnect());
    return redis;
  };
  const [primary, replica] = [ask(first), ask(second)];
  await replica.replicaof(...placeOf(first));
  await until("the replica is linked", async () =>
    /master_link_status:up/.test(await replica.info("replication")),
  );

  const promote = async ({ leads = true }: FailOverOptions = {}): Promise<void> => {
    await replica.replicaof("NO", "ONE");
    if (leads) name.leadTo(second.url);
    await primary.replicaof(...placeOf(second));
  };
  const owned = stack.move();
  return {
    url: name.url,
    first,
    second,
    promote,
    failOver: async (how) => {
      await primary.call("CLIENT", "PAUSE", "10000", "WRITE");
      const offset = await offsetOf(primary, "master_repl_offset");
      await until(
        "the replica has all",
        async () => (await offsetOf(replica, "slave_repl_offset")) >= offset,
      );
      await promote(how);
      await primary.call("CLIENT", "UNPAUSE");
    },
    leadTo: (service) => name.leadTo(service.url),
    [Symbol.asyncDispose]: async () => owned.disposeAsync(),
  };
}

interface Name extends AsyncDisposable {
  readonly url: string;
  leadTo(url: string): void;
}

/** Forwards every new connection to where the name leads by then. */
async function startName(url: string): Promise<Name> {
  let target = new URL(url);
  const sockets = new Set<Socket>();
  const server = createServer((inbound) => {
    const outbound = dial(Number(target.port), target.hostname);
    for (const [socket, other] of [
      [inbound, outbound],
      [outbound, inbound],
    ] as const) {
      sockets.add(socket);
      socket.on("error", () => other.destroy());
      socket.on("close", () => {
        sockets.delete(socket);
        other.destroy();
      });
      socket.pipe(other);
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("Expected the name to have a port");
  return {
    url: `redis://127.0.0.1:${address.port}`,
    leadTo(next) {
      target = new URL(next);
    },
    async [Symbol.asyncDispose]() {
      const closed = once(server, "close");
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

function placeOf({ url }: RunningService): [string, number] {
  return ["127.0.0.1", Number(new URL(url).port)];
}

async function offsetOf(redis: Redis, field: string): Promise<number> {
  return Number(new RegExp(`^${field}:(\\d+)`, "m").exec(await redis.info("replication"))?.[1]);
}

async function until(what: string, test: () => Promise<boolean>): Promise<void> {
  const last = performance.now() + LINK_MS;
  while (!(await test())) {
    if (performance.now() > last) throw new Error(`Expected that ${what} within ${LINK_MS} ms`);
    await sleep(STEP_MS);
  }
}
