/** A pool's model as the drain calls it: one request of whatever kind, and what it costs the quota. */
import type { BedrockCaller } from "@sluice/bedrock";
import { callBudgetMs, createEstimator, quotaCost } from "@sluice/bedrock/estimate";
import type { Pool } from "@sluice/config";
import type { Model } from "@sluice/drain";
import { factsOf } from "@sluice/job";
import type { UsedCall } from "@sluice/results";

const ONE_REQUEST = quotaCost(0);

/** Hears what every answered call reserved and used. */
export type OnUsage = (call: UsedCall) => void;

export function createModel(pool: Pool, bedrock: Pick<BedrockCaller, "call">, onUsage: OnUsage): Model {
  const { model, burndown, callTimeoutMs, streamSilenceMs, serviceTiers } = pool;
  const estimator = createEstimator({ burndown, model });
  return {
    async call(work, { jobId, lane, signal, onText }) {
      return bedrock.call({
        work,
        model,
        jobId,
        signal,
        onText,
        timeoutMs: callBudgetMs(callTimeoutMs, work),
        silenceMs: streamSilenceMs,
        serviceTier: serviceTiers[lane],
      });
    },
    budgetMs: (work) => callBudgetMs(callTimeoutMs, work),
    reserve(work) {
      const { sized } = factsOf(work);
      return sized === undefined ? ONE_REQUEST : quotaCost(estimator.reserve(sized).tokens);
    },
    settled: (usage) => quotaCost(estimator.settled(usage)),
    unfinished(work, observedOutputTokens) {
      const { sized } = factsOf(work);
      if (sized === undefined) return ONE_REQUEST;
      return quotaCost(estimator.unfinished(sized, observedOutputTokens));
    },
    learn(data, work, usage) {
      const { sized } = factsOf(work);
      if (sized === undefined) return;
      onUsage({
        pool: pool.name,
        // Calls of one limit tend to be of one kind of prompt.
        promptClass: data.promptClass ?? `max-${sized.maxTokens}`,
        reservedTokens: estimator.reserve(sized).tokens,
        settledTokens: estimator.settled(usage),
        maxTokens: sized.maxTokens,
        outputTokens: usage.outputTokens,
      });
      estimator.learn(sized, usage);
    },
  };
}
