/** A pool as jobs are accepted into it, whoever brings them. */
import { createEstimator, quotaCost } from "@sluice/bedrock/estimate";
import type { Pool } from "@sluice/config";
import { answerBytes, learnedAnswerBytes, type AcceptingPool, type RequestBounds } from "@sluice/drain";
import { factsOf } from "@sluice/job";
import { misfit, type PoolLimits } from "@sluice/limits";
import type { CapacityGuard } from "@sluice/queue";
import type { OpenPool } from "./pool.ts";

/** What a pool lets a request ask for. */
export function requestBounds(pool: Pool, limits: PoolLimits): RequestBounds {
  const estimator = createEstimator({ burndown: pool.burndown, model: pool.model });
  return {
    maxOutputTokens: pool.maxOutputTokens,
    asyncOutputs: pool.asyncOutputs,
    reserve(work) {
      const { sized } = factsOf(work);
      return quotaCost(sized === undefined ? 0 : estimator.reserve(sized).tokens);
    },
    tooCostly: (cost) => misfit(limits, cost),
  };
}

/** @param guard one for each process and Redis: it keeps room for the answers of the pool's jobs from now on. */
export function acceptingPool(open: OpenPool, guard: CapacityGuard): AcceptingPool {
  const { pool, scope } = open;
  for (const name of pool.lanes) {
    guard.watch(open.lane(name), {
      atMost: longestAnswerBytes(pool),
      learned: async () => {
        const tokens = await scope.usage.meanOutputTokens(pool.name);
        return tokens === undefined ? undefined : learnedAnswerBytes(tokens);
      },
    });
  }
  return {
    ...requestBounds(pool, open.limits),
    lanes: pool.lanes,
    defaultMaxTokens: pool.defaultMaxTokens,
    deadlineMs: pool.deadlineMs,
    maxAttempts: pool.maxAttempts,
    cacheMs: pool.cacheMs,
    claims: scope.claims,
    outcomes: scope.outcomes,
    polls: open.polls,
    lane: (name) => open.lane(name),
    capacity: async (name, job) =>
      guard.check(open.lane(name), { jobs: pool.maxWaiting, bytes: pool.maxWaitingBytes }, job),
  };
}

/** Of a job that says nothing about it. */
function longestAnswerBytes({ defaultMaxTokens: maxTokens }: Pool): number {
  const messages = [{ role: "user" as const, content: [{ text: "?" }] }];
  return answerBytes({ kind: "converse", request: { messages, maxTokens } });
}
