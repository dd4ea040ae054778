/** What an operator does about a failure, by its class. */
import type { ThrottleDimension } from "./failure.ts";
import { FAILURES } from "./failures.ts";
import { OWN_FAILURES } from "./own-failures.ts";

/** What an operator does about a failure of this class; `undefined` for a class that no table has. */
export function adviceFor(failure: {
  readonly errorClass: string;
  readonly dimension?: ThrottleDimension | undefined;
}): string | undefined {
  const rows = Object.values(FAILURES).filter(({ errorClasses }) =>
    errorClasses.includes(failure.errorClass),
  );
  const row = rows.find(({ dimension }) => dimension === failure.dimension) ?? rows[0];
  if (row !== undefined) return row.advice;
  return Object.values(OWN_FAILURES).find(({ errorClass }) => errorClass === failure.errorClass)?.advice;
}
