/** Reading back what was stored, and which version each record has (`docs/upgrading.md`). Its text is private, so an error about it must not quote it, as JSON's own does. */
import { assertKnownVersion } from "@sluice/job";
import type { z } from "zod";

/** The newest version of each record that this program reads, which is the one it writes. */
export const VERSIONS = {
  outcome: 1,
  "cached answer": 1,
  "idempotency key": 1,
  "call ledger": 1,
  lineage: 1,
  "note of its credentials": 1,
  "note of its lanes": 1,
} as const;
export type StoredRecord = keyof typeof VERSIONS;

/** A record as it is stored. */
export function writeStored(record: StoredRecord, value: object): string {
  return JSON.stringify({ version: VERSIONS[record], ...value });
}

/** @throws Error that names `what` and quotes nothing; NewerVersionError when a newer version of Sluice wrote it. */
// oxlint-disable-next-line max-params -- each of the four is another kind of thing
export function readStored<Schema extends z.ZodType>(
  record: StoredRecord,
  schema: Schema,
  text: string,
  what: string,
): z.output<Schema> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Error(`${what} is not JSON`);
  }
  assertKnownVersion(record, value, VERSIONS[record]);
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const fields = parsed.error.issues.map(({ path }) => path.join("."));
  throw new Error(`${what} is not of a version that can be read: ${fields.join(", ")}`);
}
