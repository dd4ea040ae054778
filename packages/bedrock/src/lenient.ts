/** Schemas for what may have any shape: a member of another type is none, and spoils nothing beside it. */
import { z } from "zod";

export type Lenient<Schema extends z.ZodType> = z.ZodCatch<z.ZodOptional<Schema>>;

/** A text, or nothing: whatever else stands there says nothing. */
export const text: Lenient<z.ZodString> = z.string().optional().catch(undefined);

/**
 * A reason to stop: a word of the protocol, since it is logged and shown. What looks like anything else may be
 * somebody's text, as the stop sequence that was hit; that there was a reason is all that is kept of it.
 */
export const stopWord: z.ZodCatch<z.ZodOptional<z.ZodType<string | undefined>>> = z
  .string()
  .transform((word) => (/^[A-Za-z][\w :.-]{0,63}$/.test(word) ? word : word === "" ? undefined : "other"))
  .optional()
  .catch(undefined);

/** A member that is an object, or nothing. */
export function part<Shape extends z.ZodRawShape>(shape: Shape): Lenient<z.ZodObject<Shape>> {
  return z.object(shape).optional().catch(undefined);
}

/** A list of objects; elements of another type are `undefined`. */
export function list<Shape extends z.ZodRawShape>(shape: Shape): z.ZodArray<Lenient<z.ZodObject<Shape>>> {
  return z.array(part(shape));
}
