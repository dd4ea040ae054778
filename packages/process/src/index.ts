export { deploymentEnv, listenerEnv, parseEnv, type EnvSource } from "./env.ts";
export { nameList, oneOf, wholeNumber, yesOrNo } from "./env-values.ts";
export { hostCheck, misdirected, type HostedRequest } from "./host.ts";
export { leaveOnSignal, runProgram, tellParent, tellUncaught, type Ready } from "./leave.ts";
export { assertReachable, closeServer, httpServer, listen } from "./listen.ts";
export { assertNode } from "./node-version.ts";
export { isFromElsewhere, isSafeFromOtherSites } from "./origin.ts";
