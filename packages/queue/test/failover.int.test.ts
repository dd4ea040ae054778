/** BullMQ opens connections of its own: they find the new primary too. */
import { Queue, Worker } from "bullmq";
import { expect, test, vi } from "vitest";
import { replicaPair } from "../../redis/test/failover.ts";
import { testRedis } from "../../redis/test/redis.ts";

test("after a fail-over a worker fetches from the new one", async () => {
  const pair = await replicaPair();
  const redis = testRedis("worker", pair.url);
  const queue = new Queue("q", { connection: redis });
  const done: string[] = [];
  const worker = new Worker("q", async (job) => void done.push(job.name), { connection: redis });
  await queue.add("before", {});
  await vi.waitFor(() => expect(done).toEqual(["before"]));
  await pair.failOver();
  await queue.add("after", {});
  await vi.waitFor(() => expect(done).toEqual(["before", "after"]), 10_000);
  await worker.close(true);
  await queue.close();
});
