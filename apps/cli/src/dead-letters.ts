/** `sluice dead-letters init`: the table, created or checked. */
import { ensureTable } from "@sluice/dead-letter";
import { checkStoreEnv } from "./store-env.ts";
import { print, printJson } from "./terminal.ts";

export async function initDeadLetters({
  table,
  json,
}: {
  readonly table: string;
  readonly json: boolean;
}): Promise<void> {
  checkStoreEnv();
  const report = await ensureTable({ tableName: table });
  if (json) printJson(report);
  else if (report.differences.length === 0) print(`Table '${table}': ${report.table}, and as it should be`);
  if (report.differences.length > 0) {
    throw new Error(`Table '${table}' is not as it should be: ${report.differences.join("; ")}`);
  }
}
