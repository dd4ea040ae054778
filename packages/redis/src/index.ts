export { connect, connectionOptions, type ConnectionProfile } from "./connection.ts";
export { assertFit } from "./fit.ts";
export { keySpace, type KeySpace } from "./keyspace.ts";
export { defineScript, type Script, type ScriptCall, type ScriptOptions } from "./script.ts";
