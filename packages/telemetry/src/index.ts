export { createLogger, logEvents, type LoggerOptions } from "./log.ts";
