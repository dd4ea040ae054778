/**
 * The way in for a service beside Redis: jobs are accepted as the API accepts them, and read back, without HTTP and without
 * loading anything of AWS.
 */
import type { Pools } from "@sluice/config";
import { createAccept, createFind, describe, type Acceptance, type JobView } from "@sluice/drain";
import { emitter, submissionSchema, type Listener, type SubmissionInput } from "@sluice/job";
import { encodePayload } from "@sluice/job/payload";
import { CapacityGuard } from "@sluice/queue";
import { RedisWatch } from "@sluice/redis";
import { z } from "zod";
import { acceptingPool } from "./accepting.ts";
import { Installation } from "./installation.ts";

export interface ProducerOptions {
  /** Separates installations that share one Redis. Default `sluice`. */
  readonly namespace?: string;
  /** On whose behalf the jobs run. Default `default`. */
  readonly tenant?: string;
  /** Hear what happens: `job:accepted`, and `worker:error` of the connection. Default: nobody. */
  readonly listeners?: readonly Listener[];
}

export interface Producer extends AsyncDisposable {
  /**
   * Puts a job into its lane, or says why not; the refusals are those of the API, with the same codes.
   * @throws TypeError when the submission is none: every field that is wrong is named, and what was sent is not.
   * Rejects when Redis does not answer.
   */
  accept(submission: SubmissionInput): Promise<Acceptance>;
  /**
   * Where a job of the tenant is, and what became of it; `undefined` when there is no such job. A dead one is known for as
   * long as outcomes are kept: dead letters are not looked at.
   */
  find(id: string): Promise<JobView | undefined>;
  /**
   * Resolves when Redis has answered, and may hold jobs. Nobody has to wait for it: what is accepted before waits itself.
   * @throws UnfitRedisError when it may not; the signal's reason when that fires before.
   */
  ready(signal: AbortSignal): Promise<void>;
  /** Ends the connections. Jobs that were accepted stay. */
  close(): Promise<void>;
}

/**
 * Opens the pools of a file for one service. Connects in the background.
 * @param pools of `readPools` or `parsePools` of `@sluice/config`.
 * @throws RangeError when the URL names no database that there could be.
 */
export function openProducer(pools: Pools, redisUrl: string, options: ProducerOptions = {}): Producer {
  const { namespace = "sluice", tenant = "default", listeners = [] } = options;
  const emit = emitter(listeners);
  const onError = (error: unknown): void =>
    emit("worker:error", { part: "producer", error: describe(error) });
  const installation = new Installation({ pools, namespace, redisUrl, profile: "producer", onError });
  const { redis, redisClock, clock, keySpaces } = installation;
  const watch = new RedisWatch({ redis, clock: redisClock, keySpaces, onNews: () => {} });
  watch.start();
  const looked = watch.look();
  const guard = new CapacityGuard(redis);
  const accept = createAccept({
    pools: new Map([...installation.pools].map(([name, pool]) => [name, acceptingPool(pool, guard)])),
    encodePayload,
    unsafe: () => watch.unsafe?.message,
    emit,
    clock,
  });
  const find = createFind({
    pools: installation.pools,
    deadLetters: { look: async () => undefined },
  });
  const close = async (): Promise<void> => {
    watch.stop();
    await installation.close();
  };
  return {
    async accept(submission) {
      const parsed = submissionSchema.safeParse(submission);
      if (!parsed.success) throw new TypeError(`Expected a submission:\n${z.prettifyError(parsed.error)}`);
      // A job of the first moment must not go into a Redis that may lose it, nor get the machine's time.
      await looked;
      await redisClock.known();
      return accept(tenant, parsed.data);
    },
    find: async (id) => find(tenant, id),
    ready: async (signal) => watch.untilFit(signal),
    close,
    [Symbol.asyncDispose]: close,
  };
}
