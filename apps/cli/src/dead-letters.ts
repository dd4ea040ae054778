/** `sluice dead-letters init`: the table, created or checked. */
import { ensureTable } from "@sluice/dead-letter";

export async function initDeadLetters({ table }: { readonly table: string }): Promise<void> {
  const report = await ensureTable({ tableName: table });
  process.stdout.write(`${JSON.stringify(report)}\n`);
  if (report.differences.length > 0) {
    throw new Error(`Table '${table}' is not as it should be: ${report.differences.join("; ")}`);
  }
}
