export type { Clock } from "./clock.ts";
export type { Call, CallOutcome } from "./evidence/call.ts";
export type { ThrottleKind } from "./quota/throttle.ts";
export type { CallPage, ModelStats } from "./evidence/ledger.ts";
export type { Peak } from "./evidence/peak.ts";
export type { BreakPlace, ErrorPlace, Fault } from "./faults/fault.ts";
export { type FaultRule, type FaultRuleInput, faultRuleSchema } from "./faults/rule.ts";
export {
  type AnswerLength,
  type Latency,
  type Model,
  type ModelEntry,
  type ModelTable,
  modelTableSchema,
} from "./models/model.ts";
export { type Simulator, type SimulatorOptions, start } from "./simulator.ts";
