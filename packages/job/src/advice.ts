/** What an operator does about a failure, by its class. */
import type { FailureKind, ThrottleDimension } from "./failure.ts";
import { FAILURES } from "./failures.ts";
import { OWN_FAILURES } from "./own-failures.ts";

/**
 * What an operator does about a failure; `undefined` for a class that no table has. Of a class with several rows, the more
 * is known of the failure the better it fits: of the class alone it is that of the most general row, which is the last.
 */
export function adviceFor(failure: {
  readonly errorClass: string;
  readonly kind?: FailureKind | undefined;
  readonly dimension?: ThrottleDimension | undefined;
}): string | undefined {
  const rows = Object.values(FAILURES).filter(({ errorClasses }) =>
    errorClasses.includes(failure.errorClass),
  );
  const ofKind = rows.filter(({ kind }) => failure.kind === undefined || kind === failure.kind);
  const row =
    ofKind.findLast(({ dimension }) => dimension === failure.dimension) ?? ofKind.at(-1) ?? rows.at(-1);
  if (row !== undefined) return row.advice;
  return Object.values(OWN_FAILURES).find(({ errorClass }) => errorClass === failure.errorClass)?.advice;
}
