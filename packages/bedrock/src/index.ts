export type {
  AbortedCall,
  AnsweredCall,
  BedrockCaller,
  CallBounds,
  CallResult,
  ConverseCall,
  CountTokensCall,
  FailedCall,
  InvokeCall,
  PollAsyncCall,
  PollResult,
  ServiceTier,
  StartAsyncCall,
  StartResult,
  StreamCall,
} from "./caller.ts";
export { classify, type Verdict } from "./classify.ts";
export { createBedrock, type BedrockOptions } from "./client.ts";
export { withoutEcho } from "./echo.ts";
export { safeMessage } from "./message.ts";
