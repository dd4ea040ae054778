export { connect, connectionOptions, type ConnectionProfile } from "./connection.ts";
export { assertFit, type Problem, type ProblemCode } from "./fit.ts";
export { keySpace, type KeySpace } from "./keyspace.ts";
export { defineScript, type Script, type ScriptCall } from "./script.ts";
export { isUnfit, UnfitRedisError } from "./unfit.ts";
export { RedisWatch, type Health, type RedisNews, type RedisWatchOptions } from "./watch.ts";
