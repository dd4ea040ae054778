export { describeSkew, RedisClock, SKEW_MS, type RedisClockOptions } from "./clock.ts";
export { connect, connectionOptions, type ConnectionProfile } from "./connection.ts";
export { assertFit, tlsHint, type Problem, type ProblemCode } from "./fit.ts";
export { keySpace, type KeySpace } from "./keyspace.ts";
export { isUnfit, UnfitRedisError } from "./unfit.ts";
export {
  RedisWatch,
  type Health,
  type RedisChange,
  type RedisNews,
  type RedisWatchOptions,
} from "./watch.ts";
export { defineScript, type Script, type ScriptCall, type ScriptOptions } from "./script.ts";
export { timeSource, type TimeQuestion, type TimeSource, type ToldTime } from "./time-source.ts";
