/** Bodies from outside: parsed by a schema, refused in the words of the service. */
import type { z } from "zod";
import { invalid, ServiceError } from "./service-error.ts";

/**
 * Parses a JSON body.
 * @throws ServiceError SerializationException for bad JSON or a wrong type, ValidationException for a bad value.
 */
export function parseJsonBody<T>(schema: z.ZodType<T>, body: Buffer): T {
  return checkBody(schema, readJson(body));
}

/** @throws ServiceError SerializationException. */
export function readJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.length === 0 ? "{}" : body.toString("utf8"));
  } catch {
    throw new ServiceError("SerializationException", "The request body is not valid JSON.");
  }
}

/** @throws ServiceError when the value does not fit the schema. */
export function checkBody<T>(schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const { issues } = result.error;
  for (const issue of issues) {
    const given = valueAt(value, issue.path);
    if (issue.code === "invalid_type" && given !== undefined && given !== null) {
      throw new ServiceError(
        "SerializationException",
        `${kindOf(given)}_VALUE can not be converted to ${issue.expected} at '${issue.path.join(".")}'`,
      );
    }
  }
  const sentences = issues.map((issue) => {
    const given = valueAt(value, issue.path);
    const shown = typeof given === "string" || typeof given === "number" ? `Value '${given}'` : "Value";
    return `${shown} at '${issue.path.join(".")}' failed to satisfy constraint: ${constraintOf(issue, given)}`;
  });
  const count = `${issues.length} validation error${issues.length === 1 ? "" : "s"} detected`;
  throw invalid(`${count}: ${sentences.join("; ")}`);
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  let current: unknown = value;
  for (const step of path) {
    if (typeof current !== "object" || current === null) return undefined;
    current = Reflect.get(current, step);
  }
  return current;
}

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return "LIST";
  return value === null ? "NULL" : typeof value === "object" ? "STRUCTURE" : (typeof value).toUpperCase();
}

function constraintOf(issue: z.core.$ZodIssue, given: unknown): string {
  if (given === undefined || given === null) return "Member must not be null";
  const measured = typeof given === "number" ? "value" : "length";
  if (issue.code === "too_small")
    return `Member must have ${measured} greater than or equal to ${issue.minimum}`;
  if (issue.code === "too_big") return `Member must have ${measured} less than or equal to ${issue.maximum}`;
  if (issue.code === "invalid_value")
    return `Member must satisfy enum value set: [${issue.values.join(", ")}]`;
  return `Member must be valid: ${issue.message}`;
}
