/** A primary with its replica behind one name: what a managed Redis is to those who connect to it. */
import { connect as dial, createServer, type Socket } from "node:net";
import { once } from "node:events";
import { onTestFinished, vi } from "vitest";
import { testRedis } from "./redis.ts";
import { ownRedis } from "../../services/test/own-redis.ts";

/** Forwards every new connection to where the name leads by then; those that are open stay where they are. */
export async function nameFor(url: string) {
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
  onTestFinished(async () => {
    server.close();
    for (const socket of sockets) socket.destroy();
    await once(server, "close");
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("Expected a port");
  return {
    url: `redis://127.0.0.1:${address.port}`,
    leadTo: (next: string): void => {
      target = new URL(next);
    },
  };
}

const at = (url: string): [string, number] => ["127.0.0.1", Number(new URL(url).port)];

/** A primary waits for further replicas before it sends its data. */
const AT_ONCE = ["--repl-diskless-sync-delay", "0"];

/** `failOver` makes the replica the primary; connections to the former one stay open. */
export async function replicaPair() {
  const [first, second] = await Promise.all([ownRedis(...AT_ONCE), ownRedis(...AT_ONCE)]);
  const [primary, replica] = [testRedis("worker", first.url), testRedis("worker", second.url)];
  await replica.replicaof(...at(first.url));
  await vi.waitFor(async () => {
    if (!/master_link_status:up/.test(await replica.info("replication"))) throw new Error("Not linked yet");
  }, 10_000);
  const name = await nameFor(first.url);
  return {
    url: name.url,
    primary,
    replica,
    async failOver(): Promise<void> {
      // What has not reached the replica is lost; that is not what is looked at.
      await primary.set("reached", "1");
      await primary.wait(1, 5_000);
      await replica.replicaof("NO", "ONE");
      name.leadTo(second.url);
      await primary.replicaof(...at(second.url));
    },
  };
}
