export { check, type CheckedJob, type Expected, type OutcomeCounts, type Report } from "./check.ts";
export { countInFlight, readCalls, readInvocations, type SeenCall, type SeenInvocation } from "./evidence.ts";
export {
  findClockWay,
  forgetMachineOf,
  startMachine,
  type ClockWay,
  type MachineClock,
} from "./clocks/machine.ts";
export { canSetClockOfRedis, startClockedRedis, type ClockedRedis } from "./clocks/redis.ts";
export { addFaults } from "./faults.ts";
export { hasFormerVersion, unpackFormerVersion, type FormerVersion } from "./former-version.ts";
export { startInstallation, type Installation, type InstallationOptions } from "./installation.ts";
export { startProcess, type Exit, type LogLine, type Started } from "./process.ts";
export { submitAll } from "./producer.ts";
export { startFaultProxy, startProxyTo, type FaultProxy, type Weather } from "./proxy.ts";
export { Records, type Found, type RecordsOptions } from "./records.ts";
export type { PoolsFile } from "./pools-file.ts";
