/** What the harness knows of a bench. A new one is a folder beside `limits/` and a line in `main.ts`. */

/** Plain data: it is printed as JSON. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

export interface Bench {
  readonly name: string;
  /** One line for `pnpm bench` without arguments. */
  readonly about: string;
  /**
   * Measures. Tables for people go to `print`.
   * @returns the figures, the last line of `--json`.
   */
  run(print: (line: string) => void): Promise<{ readonly [key: string]: Json }>;
}

/** Lines of a table, columns aligned; the first row is its head. */
export function table(rows: readonly (readonly (string | number)[])[]): string[] {
  const cells = rows.map((row) => row.map(String));
  const widths = (cells[0] ?? []).map((_, column) =>
    Math.max(...cells.map((row) => row[column]?.length ?? 0)),
  );
  return cells.map((row) => row.map((cell, column) => cell.padStart(widths[column] ?? 0)).join("  "));
}
