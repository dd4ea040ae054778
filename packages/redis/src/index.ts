export { connect, connectionOptions, type ConnectionProfile } from "./connection.ts";
export { keySpace, type KeySpace } from "./keyspace.ts";
export { defineScript, type Script, type ScriptCall } from "./script.ts";
