/** When are two requests the same? When their canonical JSON is: claims and the response cache agree on it. */
import { createHash } from "node:crypto";

/**
 * JSON with sorted fields, so that a request reads the same however its fields were ordered. Fields that are
 * `undefined` are left out, as JSON has it; the order of lists counts.
 */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === "object" && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}

/** SHA-256 in hex. */
export function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
