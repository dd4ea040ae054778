/**
 * An operator's walk through dead letters in a headless Chromium, where there is one: see it, open it, edit it, replay it,
 * watch it resolve. `SLUICE_SCREENSHOTS` names a folder that keeps what the walk saw.
 */
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { decodePayload } from "@sluice/job/payload";
import { OutcomeStore } from "@sluice/results";
import { chromium, type Browser, type Locator, type Page } from "playwright-core";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { accessSettings } from "../src/access/settings.ts";
import { cheapHash, MARKER, startBoard, type TestBoard } from "./given.ts";

vi.setConfig({ testTimeout: 60_000 });

const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const found = (process.env["PATH"] ?? "")
  .split(delimiter)
  .flatMap((folder) => NAMES.map((name) => join(folder, name)))
  .find((path) => existsSync(path));
const where = found === undefined ? " (needs a Chromium on the PATH; there is none)" : "";

const PASSWORD = "correct horse battery";
const CLASS = "ValidationException";

let board: TestBoard;
let browser: Browser;

beforeAll(async () => {
  if (found === undefined) return;
  const hash = cheapHash(PASSWORD);
  const users = `ann:operator:${hash} ben:viewer:${hash}`;
  board = await startBoard({
    access: accessSettings({
      HOST: "127.0.0.1",
      SLUICE_ALLOW_UNAUTHENTICATED: false,
      SLUICE_BOARD_USERS: users,
    }),
  });
  browser = await chromium.launch({ executablePath: found });
});

afterAll(async () => {
  if (found === undefined) return;
  await browser.close();
  await board[Symbol.asyncDispose]();
});

/** A page of this user, which must meet no error of the board's own. */
async function open(username: string, colorScheme: "light" | "dark" = "light") {
  const page = await browser.newPage({ httpCredentials: { username, password: PASSWORD }, colorScheme });
  const faults: string[] = [];
  page.on("pageerror", ({ message }) => faults.push(message));
  page.on("console", (message) => {
    if (message.text().includes("Content Security Policy") && !message.text().includes("fonts.googleapis")) {
      faults.push(message.text());
    }
  });
  page.on("response", (response) => {
    if (response.status() >= 500) faults.push(`${response.status()} ${response.url()}`);
  });
  return { page, faults };
}

async function keep(page: Page, name: string): Promise<void> {
  const folder = process.env["SLUICE_SCREENSHOTS"];
  if (folder !== undefined) await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
}

/** Bull Board's buttons have an icon and no name. */
function retryButton(page: Page): Locator {
  return page.locator("main button:has(svg.lucide-refresh-cw)");
}

/** Ends the replay that is in the lane as a worker would. */
async function answerNext(): Promise<string> {
  const { id = "" } = await board.fetchNext();
  const end = { id, tenant: "acme", acceptedAt: 1, endedAt: 2, attempts: 1 };
  await new OutcomeStore(board.redis, board.space).put({ ...end, outcome: "cancelled" });
  await board.store.resolve(id);
  return id;
}

test.skipIf(found === undefined)(`an operator mends a dead letter and replays it${where}`, async () => {
  const id = await board.dead({ text: MARKER, message: "The input is too long" });
  const { page, faults } = await open("ann");
  // What waits in the lane is served before the replay.
  while ((await board.lane.counts()).waiting > 0) await board.fetchNext();

  await page.goto(`${board.url}/queue/dead-letter.${CLASS}?status=failed`);
  await page.getByText("The input is too long").first().waitFor();
  expect(await page.content()).not.toContain(MARKER);
  await keep(page, "1-failed");

  await page.goto(`${board.url}/queue/dead-letter.${CLASS}/${id}`);
  await page.getByText("Open letter").first().waitFor();
  await keep(page, "2-job");
  await page.goto(`${board.url}/dead-letters/letter/${id}`);
  const editor = page.getByRole("textbox", { name: /^Edit it/ });
  const shown = await editor.inputValue();
  expect(shown).toContain("⟦redacted");
  await editor.fill(shown.replace('"maxTokens": 10', '"maxTokens": 5'));
  await keep(page, "3-edit");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("ann replaced its request").waitFor();

  await page.goto(`${board.url}/queue/dead-letter.${CLASS}/${id}`);
  await retryButton(page).click();
  await page.getByRole("button", { name: /confirm/i }).click();
  await vi.waitFor(async () => expect((await board.store.get(id))?.state).toBe("replaying"), 10_000);
  await keep(page, "4-replaying");
  await page.goto(`${board.url}/dead-letters/letter/${id}`);
  await page.getByText("waiting, as replay 1", { exact: true }).waitFor();

  expect(await answerNext()).toBe(`${id}.r1`);
  await page.goto(`${board.url}/queue/dead-letter.${CLASS}?status=completed`);
  await page.getByText(id).first().waitFor();
  await keep(page, "5-resolved");
  await page.goto(`${board.url}/dead-letters/letter/${id}`);
  await page.getByText("cancelled, as replay 1", { exact: true }).waitFor();
  const stored = await board.store.get(id);
  expect(stored && (await decodePayload(stored.data.payload))).toMatchObject({
    messages: [{ role: "user", content: [{ text: MARKER }] }],
    maxTokens: 5,
  });
  expect(faults).toEqual([]);
});

test.skipIf(found === undefined)(
  `an operator searches, ticks and replays by hand, in the dark${where}`,
  async () => {
    const ids = [await board.dead({ tenant: "walker" }), await board.dead({ tenant: "walker" })];
    const { page, faults } = await open("ann", "dark");
    await page.goto(`${board.url}/dead-letters`);
    await page.getByLabel("Tenant").fill("walker");
    await page.getByRole("button", { name: "Search", exact: true }).click();
    await page.getByText("The search is complete").waitFor();
    expect(new URL(page.url()).searchParams.get("tenant")).toBe("walker");
    await page.getByLabel("All letters of this page").check();
    await keep(page, "6-search-dark");
    await page.getByRole("button", { name: "Replay the ticked" }).click();
    await page.getByText("2 letters would be replayed").waitFor();
    await keep(page, "7-dry-run");
    await page.getByRole("button", { name: "Start the replay" }).click();
    await page.getByText("All are on their way: 2 of 2").waitFor();
    await keep(page, "8-run");
    for (const id of ids) expect((await board.store.get(id))?.state).toBe("replaying");
    expect(faults).toEqual([]);
  },
);

test.skipIf(found === undefined)(`a viewer finds no button that writes${where}`, async () => {
  const id = await board.dead();
  const { page, faults } = await open("ben");
  await page.goto(`${board.url}/dead-letters/letter/${id}`);
  await page.getByRole("heading", { name: "History" }).waitFor();
  expect(await page.getByRole("button").count()).toBe(0);
  await page.goto(`${board.url}/queue/dead-letter.${CLASS}/${id}`);
  await page.getByText("Open letter").first().waitFor();
  expect(await retryButton(page).count()).toBe(0);
  await keep(page, "9-viewer");
  expect(faults).toEqual([]);
});
