/** `sluice dead-letters init`: the table, created or checked. */
import { ensureTable } from "@sluice/dead-letter";
import { printJson } from "./terminal.ts";

export async function initDeadLetters({ table }: { readonly table: string }): Promise<void> {
  const report = await ensureTable({ tableName: table });
  printJson(report);
  if (report.differences.length > 0) {
    throw new Error(`Table '${table}' is not as it should be: ${report.differences.join("; ")}`);
  }
}
