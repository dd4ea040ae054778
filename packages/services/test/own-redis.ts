/** A Redis for one test that ends with it. Also used by the tests of other packages. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { startRedis, type RunningService } from "../src/index.ts";

/** A server of the test's own, to be configured, killed and restarted. `settings` as arguments of redis-server. */
export async function ownRedis(...settings: string[]): Promise<RunningService> {
  const dataDir = await mkdtemp(join(tmpdir(), "sluice-test-"));
  onTestFinished(async () => rm(dataDir, { recursive: true }));
  const service = await startRedis({ dataDir, fsync: "always", settings });
  onTestFinished(async () => service.stop());
  return service;
}
