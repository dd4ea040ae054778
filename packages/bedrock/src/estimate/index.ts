/**
 * What a call will take, of the quota and of time, before it is made, and what it took of the quota, afterwards. Knows
 * nothing of the SDK, so that a producer can size a request without loading it.
 */
export { callBudgetMs } from "./budget.ts";
export { createEstimator, type Estimate, type Estimator, type EstimatorOptions } from "./estimator.ts";
export { quotaCost, settled, type QuotaCost } from "./quota-cost.ts";
export { estimateInputTokens } from "./size.ts";
