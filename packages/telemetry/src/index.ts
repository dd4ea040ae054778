export { auditLogger, createLogger, logEvents, type LoggerOptions } from "./log.ts";
export { quiet, type QuietListener, type QuietOptions } from "./quiet.ts";
export { Spells, type SpellsOptions } from "./spells.ts";
