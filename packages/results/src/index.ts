export { ClaimStore, IDEMPOTENCY_WINDOW_MS, type Claim, type ClaimRequest } from "./claims.ts";
export { OUTCOME_TTL_MS, OutcomeStore } from "./outcomes.ts";
