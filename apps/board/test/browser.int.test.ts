/** The board as a person sees it, in a headless Chromium, where there is one. */
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { chromium, type Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { FAILED_REASON, FULL, MARKER, QUEUES, startBoard } from "./given.ts";

const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const found = (process.env["PATH"] ?? "")
  .split(delimiter)
  .flatMap((folder) => NAMES.map((name) => join(folder, name)))
  .find((path) => existsSync(path));

const where = found === undefined ? " (needs a Chromium on the PATH; there is none)" : "";

let board: Awaited<ReturnType<typeof startBoard>>;
let browser: Browser;

beforeAll(async () => {
  if (found === undefined) return;
  board = await startBoard();
  browser = await chromium.launch({ executablePath: found });
});

afterAll(async () => {
  if (found === undefined) return;
  await browser.close();
  await board[Symbol.asyncDispose]();
});

test.skipIf(found === undefined)(
  `a person finds every lane, and the failed job without its prompt${where}`,
  async () => {
    const page = await browser.newPage();
    const faults: string[] = [];
    page.on("pageerror", ({ message }) => faults.push(message));
    page.on("response", (response) => {
      if (response.status() >= 500) faults.push(`${response.status()} ${response.url()}`);
    });

    await page.goto(board.url);
    for (const queue of QUEUES) {
      await page.locator(`a[href*="/queue/${queue}"]`).first().waitFor({ state: "attached" });
    }

    await page.goto(`${board.url}/queue/${FULL}?status=failed`);
    await page.getByText(FAILED_REASON).first().waitFor();
    expect(await page.content()).toContain(board.jobs.failed.id);

    await page.goto(`${board.url}/queue/${FULL}/${board.jobs.failed.id}`);
    await page
      .getByRole("tab", { name: "Data" })
      .or(page.getByText("Data", { exact: true }))
      .first()
      .click();
    await page.getByText("storedCharacters").first().waitFor();
    expect(await page.content()).not.toContain(MARKER);
    expect(faults).toEqual([]);
  },
);
