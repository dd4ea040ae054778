/** A primary with its replica for one test, and a connection to each. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startReplicaPair } from "@sluice/services";
import { onTestFinished } from "vitest";
import { testRedis } from "./redis.ts";

/** `failOver` makes the replica the primary; connections to the former one stay open, and nothing is lost. */
export async function replicaPair() {
  const dataDir = await mkdtemp(join(tmpdir(), "sluice-test-"));
  onTestFinished(async () => rm(dataDir, { recursive: true }));
  const pair = await startReplicaPair({ dataDir, fsync: "always" });
  onTestFinished(async () => pair[Symbol.asyncDispose]());
  const { url, first, second, failOver } = pair;
  const [primary, replica] = [testRedis("worker", first.url), testRedis("worker", second.url)];
  return { url, primary, replica, failOver };
}
