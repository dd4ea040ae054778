/**
 * What a call will take from the quota, before it is made, and what it took, afterwards. Knows nothing of the SDK,
 * so that a producer can size a request without loading it.
 */
export { createEstimator, type Estimator, type EstimatorOptions } from "./estimator.ts";
export {
  quotaCost,
  reservation,
  settled,
  sizedPart,
  type QuotaCost,
  type Reservation,
} from "./quota-cost.ts";
export { estimateInputTokens, type SizedRequest } from "./size.ts";
