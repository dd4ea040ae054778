/** What is wrong with a body, in words for the one who wrote it. Names places and rules, never what was sent. */
import type { z } from "zod";

/** All problems of a body in one line: `lane: is missing; prompt: Expected text, got a number`. */
export function sentence(error: z.ZodError, body: unknown): string {
  return error.issues.map((issue) => problem(issue, body)).join("; ");
}

function problem(issue: z.core.$ZodIssue, body: unknown): string {
  if (issue.code === "unrecognized_keys") {
    return `There is no field \`${issue.keys.join("`, `")}\` here; docs/api.md has the fields of each kind`;
  }
  const message = messageOf(issue, at(body, issue.path));
  return issue.path.length === 0 ? message : `${issue.path.join(".")}: ${message}`;
}

function messageOf(issue: z.core.$ZodIssue, given: unknown): string {
  if (given === undefined && (issue.code === "invalid_type" || issue.code === "invalid_format"))
    return "is missing";
  // A message of our own says more than zod's.
  if (!/^(Invalid|Too) /.test(issue.message)) return issue.message;
  if (issue.code === "invalid_type") {
    return `Expected ${EXPECTED[issue.expected] ?? issue.expected}, got ${kindOf(given)}`;
  }
  if (issue.code === "invalid_value") return `Expected one of ${issue.values.join(", ")}`;
  if (issue.code === "too_small") {
    const bound = issue.inclusive === true ? "at least" : "more than";
    return `Expected ${measured(given)} of ${bound} ${issue.minimum}`;
  }
  if (issue.code === "too_big") {
    const bound = issue.inclusive === true ? "at most" : "less than";
    return `Expected ${measured(given)} of ${bound} ${issue.maximum}`;
  }
  if (issue.code === "invalid_union") {
    return issue.path.at(-1) === "kind" ? "Expected one of converse, stream, invoke, async" : "Expected JSON";
  }
  return issue.message;
}

const EXPECTED: Readonly<Record<string, string>> = {
  string: "text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list",
  object: "an object",
  record: "an object",
};

function kindOf(given: unknown): string {
  if (given === null) return "null";
  if (Array.isArray(given)) return "a list";
  return KINDS[typeof given] ?? "an object";
}

const KINDS: Readonly<Record<string, string>> = {
  undefined: "nothing",
  string: "text",
  number: "a number",
  boolean: "true or false",
};

function measured(given: unknown): string {
  if (typeof given === "string") return "a length in characters";
  return Array.isArray(given) ? "a length" : "a number";
}

function at(body: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (inner, step) => (typeof inner === "object" && inner !== null ? Reflect.get(inner, step) : undefined),
    body,
  );
}
