/** Reading back what was stored. Its text is private, so an error about it must not quote it, as JSON's own does. */
import type { z } from "zod";

/** @throws Error that names `what` and quotes nothing. */
export function readStored<Schema extends z.ZodType>(
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
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const fields = parsed.error.issues.map(({ path }) => path.join("."));
  throw new Error(`${what} is not of a version that can be read: ${fields.join(", ")}`);
}
