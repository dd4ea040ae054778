/** A primary with its replica for one test, and a connection to each. */
import { ownReplicaPair } from "../../services/test/own-replica-pair.ts";
import { testRedis } from "./redis.ts";

/** `failOver` makes the replica the primary; connections to the former one stay open, and nothing is lost. */
export async function replicaPair() {
  const { url, first, second, failOver } = await ownReplicaPair();
  const [primary, replica] = [testRedis("worker", first.url), testRedis("worker", second.url)];
  return { url, primary, replica, failOver };
}
