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
  WorkCall,
} from "./bedrock-caller.ts";
export { classify, type Verdict } from "./failures/classify.ts";
export { createBedrock, type BedrockOptions } from "./create-bedrock.ts";
export { withoutEcho } from "./failures/echo.ts";
export { safeMessage } from "./failures/message.ts";
