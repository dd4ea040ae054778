import type { z } from "zod";
import { invalid } from "@sluice/wire";

/**
 * Checks a model's native body. The model server words this, not the service: every problem is a
 * ValidationException about a malformed input request.
 */
export function checkModelBody<T>(schema: z.ZodType<T>, body: unknown): T {
  const result = schema.safeParse(body);
  if (result.success) return result.data;
  const problems = result.error.issues.map(({ path, message }) => `#/${path.join("/")}: ${message}`);
  throw invalid(`Malformed input request: ${problems.join(", ")}, please reformat your input and try again.`);
}
