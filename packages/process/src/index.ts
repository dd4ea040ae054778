export { endProgram } from "./end.ts";
export { deploymentEnv, listenerEnv, parseEnv, type EnvSource } from "./env.ts";
export { leaveOnSignal, runProgram, tellParent, type Ready } from "./leave.ts";
export { assertReachable, closeServer, httpServer, listen } from "./listen.ts";
export { Needs, type Need, type NeedsOptions } from "./needs.ts";
