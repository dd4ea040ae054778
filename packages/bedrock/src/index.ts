export {
  createBedrock,
  type BedrockCaller,
  type BedrockOptions,
  type CallResult,
  type ConverseCall,
} from "./client.ts";
export { classify, type Verdict } from "./classify.ts";
export {
  COSTS_ATTEMPT,
  FAILURE_RULES,
  type Billed,
  type FailureRule,
  type FailureRuleName,
} from "./failures.ts";
export { safeMessage } from "./message.ts";
