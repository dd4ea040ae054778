/** A primary with its replica behind one name, of one test. Also used by the tests of other packages. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { startReplicaPair, type ReplicaPair } from "../src/index.ts";

export async function ownReplicaPair(): Promise<ReplicaPair> {
  const dataDir = await mkdtemp(join(tmpdir(), "sluice-test-"));
  onTestFinished(async () => rm(dataDir, { recursive: true }));
  const pair = await startReplicaPair({ dataDir, fsync: "always" });
  onTestFinished(async () => pair[Symbol.asyncDispose]());
  return pair;
}
