import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { adviceFor, FAILURES, OWN_FAILURES, type FailureCost, type FailureRow } from "../src/index.ts";

const page = await readFile(new URL("../../../docs/errors.md", import.meta.url), "utf8");
const rows = Object.values<FailureRow>(FAILURES);

/** The rows of the table under a heading, cells trimmed. */
function table(heading: string): string[][] {
  const section = page.split(/^## /m).find((part) => part.startsWith(`${heading}\n`)) ?? "";
  const lines = section.split("\n").filter((line) => line.startsWith("|"));
  return lines.slice(2).map((row) =>
    row
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

function quoted(names: readonly string[]): string {
  return names.length === 0 ? "any other" : names.map((name) => `\`${name}\``).join(", ");
}

function healthOf({ health }: FailureRow): string {
  return health === undefined ? "" : `${health.as}${health.weight === 1 ? "" : `, ${health.weight}`}`;
}

test("the page has every row of the failure table, in its order", () => {
  expect(table("Every failure")).toEqual(
    rows.map((row) => [
      quoted(row.errorClasses),
      row.when,
      row.kind,
      row.dimension ?? row.about ?? "",
      row.attempts === undefined ? row.costs : `${row.costs}, ${row.attempts} at most`,
      healthOf(row),
      row.charge,
      row.elsewhere === "never" ? "" : row.elsewhere,
      row.advice,
    ]),
  );
});

test("the page names Sluice's own reasons", () => {
  expect(table("Sluice's own reasons")).toEqual(
    Object.values(OWN_FAILURES).map(({ errorClass, means, advice }) => [quoted([errorClass]), means, advice]),
  );
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
  expect(rows.flatMap(({ errorClasses }) => errorClasses)).toContain(name);
});

test("there is advice for every class, and for a throttle that of its quota", () => {
  const own = Object.values(OWN_FAILURES).map(({ errorClass }) => errorClass);
  for (const errorClass of [...rows.flatMap(({ errorClasses }) => errorClasses), ...own]) {
    expect(adviceFor({ errorClass })).toBeTruthy();
  }
  expect(adviceFor({ errorClass: "ThrottlingException", dimension: "tokens-per-day" })).toMatch(/per day/);
  expect(adviceFor({ errorClass: "ValidationException", kind: "terminal" })).toMatch(/too long/);
  expect(adviceFor({ errorClass: "ValidationException", kind: "systemic" })).toMatch(/pools file/);
  expect(adviceFor({ errorClass: "ValidationException" })).toMatch(/too long/);
  expect(adviceFor({ errorClass: "SomethingNew" })).toBeUndefined();
});

function chargesOf(cost: FailureCost): Set<string> {
  return new Set(rows.filter(({ costs }) => costs === cost).map(({ charge }) => charge));
}

test("what only costs time was never worked on, and what may have been paid is charged as such", () => {
  expect(chargesOf("time")).toEqual(new Set(["nothing", "request"]));
  expect(chargesOf("call")).toEqual(new Set(["estimate"]));
});

test("what may have been paid is heard by the breaker: an outage must not buy the same answer for ever", () => {
  const unheard = rows.filter(({ costs, health }) => costs === "call" && health === undefined);
  expect(unheard).toEqual([]);
});
