import { readFile } from "node:fs/promises";
import { OWN_FAILURES } from "@sluice/job";
import { expect, test } from "vitest";
import { COSTS_ATTEMPT, FAILURE_RULES, type FailureRule } from "../src/index.ts";

const page = await readFile(new URL("../../../docs/errors.md", import.meta.url), "utf8");

/** The rows of the table under a heading, cells trimmed. */
function table(heading: string): string[][] {
  const section = page.split(/^## /m).find((part) => part.startsWith(`${heading}\n`)) ?? "";
  const rows = section.split("\n").filter((line) => line.startsWith("|"));
  return rows.slice(2).map((row) =>
    row
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

test("the page has every row of the failure table, in its order", () => {
  const expected = Object.values<FailureRule>(FAILURE_RULES).map((rule) => [
    rule.errorClasses.length === 0 ? "any other" : rule.errorClasses.map((name) => `\`${name}\``).join(", "),
    rule.when,
    rule.kind,
    rule.dimension ?? "",
    COSTS_ATTEMPT[rule.kind] ? "yes" : "no",
    rule.breaker ? "yes" : "no",
    rule.billed,
  ]);
  // The last column explains, and is the page's own.
  expect(table("Every failure").map((row) => row.slice(0, -1))).toEqual(expected);
});

test("the page says of each kind whether it costs an attempt", () => {
  const kinds = table("The four kinds").map(([kind, , attempt]) => [kind, attempt]);
  expect(kinds).toEqual(
    Object.entries(COSTS_ATTEMPT).map(([kind, costs]) => [`\`${kind}\``, costs ? "yes" : "no"]),
  );
});

test("the page names Sluice's own reasons", () => {
  const reasons = table("Sluice's own reasons").map(([errorClass]) => errorClass);
  expect(reasons).toEqual(Object.values(OWN_FAILURES).map((errorClass) => `\`${errorClass}\``));
});

test.each([
  "ThrottlingException",
  "ValidationException",
  "AccessDeniedException",
  "ResourceNotFoundException",
  "ServiceUnavailableException",
  "InternalServerException",
  "ModelTimeoutException",
  "ModelStreamErrorException",
  "ModelErrorException",
  "ConnectionError",
])("%s, one of the ten that every guide to Bedrock lists, has a row", (name) => {
  const classes = Object.values<FailureRule>(FAILURE_RULES).flatMap((rule) => rule.errorClasses);
  expect(classes).toContain(name);
});
