export type { Clock } from "./clock.ts";
export type { Call, CallOutcome, ThrottleKind } from "./evidence/call.ts";
export type { CallPage, ModelStats } from "./evidence/ledger.ts";
export { type ModelEntry, type ModelTable, modelTableSchema } from "./models/model.ts";
export { type Simulator, type SimulatorOptions, start } from "./simulator.ts";
