/** The page about the simulator names what there is, and nothing else. */
import { readFile } from "node:fs/promises";
import { beforeAll, expect, test } from "vitest";
import { errorStatus } from "@sluice/wire";
import { faultWords, parseFault } from "../src/faults/spelling.ts";
import { baseline } from "../src/models/defaults.ts";

let page: string;

beforeAll(async () => {
  page = await readFile(new URL("../../../docs/simulator.md", import.meta.url), "utf8");
});

/** Code words in the first column of the table under a heading. */
function firstColumn(heading: string): string[] {
  const section = page.slice(page.indexOf(`\n## ${heading}\n`)).split("\n## ")[1] ?? "";
  const cells = section
    .split("\n")
    .flatMap((line) => (line.startsWith("|") ? [line.split("|")[1] ?? ""] : []));
  return cells.flatMap((cell) => cell.match(/`[^`]+`/g) ?? []).map((word) => word.slice(1, -1));
}

test("every fault in the page can be spelled, and every one there is stands in it", () => {
  const words = firstColumn("Faults").filter((word) => !word.startsWith("<"));
  expect(words.filter((word) => parseFault(word) === undefined)).toEqual([]);
  expect(words).toEqual(expect.arrayContaining([...faultWords]));
});

test("every exception of the service can be spelled", () => {
  expect(Object.keys(errorStatus).filter((name) => parseFault(`${name}@mid`) === undefined)).toEqual([]);
});

test("every field of a model stands in the page", () => {
  expect(firstColumn("Models and quotas").toSorted()).toEqual(
    [...Object.keys(baseline), "region"].toSorted(),
  );
});
