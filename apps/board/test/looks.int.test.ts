/** Figures and words as a person sees them, in a headless Chromium, where there is one. `SLUICE_SCREENSHOTS` keeps them. */
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { queueName } from "@sluice/job";
import { createOperations, createRedisLimiter, defaultLanes } from "@sluice/limits";
import { chromium, type Browser, type Page } from "playwright-core";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { FULL, startBoard, type TestBoard } from "./given.ts";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const found = (process.env["PATH"] ?? "")
  .split(delimiter)
  .flatMap((folder) => NAMES.map((name) => join(folder, name)))
  .find((path) => existsSync(path));
const where = found === undefined ? " (needs a Chromium on the PATH; there is none)" : "";

let board: TestBoard;
let browser: Browser;
let page: Page;
const faults: string[] = [];

beforeAll(async () => {
  if (found === undefined) return;
  board = await startBoard();
  browser = await chromium.launch({ executablePath: found });
  page = await browser.newPage({ viewport: { width: 1_400, height: 900 } });
  page.on("pageerror", ({ message }) => faults.push(message));
  page.on("console", (message) => {
    if (message.type() === "error") faults.push(message.text());
  });
  const limiter = createRedisLimiter({ redis: board.redis, keySpace: board.space });
  const quota = { tokensPerMinute: 1_000_000 };
  await limiter.configure("claude", { quota, lanes: defaultLanes, share: 0.7, pace: 1 });
  await limiter.configure("nova", { quota, lanes: defaultLanes });
  const act = { by: "anna", from: "ops@desk", action: "breaker open for 600 s" };
  await createOperations(board.redis, board.space).record("nova", act, async () =>
    limiter.operate("nova", { type: "open", forMs: 600_000 }),
  );
});

afterAll(async () => {
  if (found === undefined) return;
  await browser.close();
  await board[Symbol.asyncDispose]();
});

async function keep(name: string): Promise<void> {
  const folder = process.env["SLUICE_SCREENSHOTS"];
  if (folder !== undefined) await page.screenshot({ path: join(folder, `${name}.png`) });
}

/** What can be read on the page without pointing at anything. */
async function seen(): Promise<string> {
  return page.locator("body").innerText();
}

test.skipIf(found === undefined)(
  `every page leads to the dead letters and says how the pools stand${where}`,
  async () => {
    await page.goto(board.url);
    await page.getByText("Breaker open by hand: next probe in").first().waitFor();
    await page.getByText("critical").nth(1).waitFor();
    await keep("looks-1-overview");
    // Bull Board's header begins where the strip ends.
    const strip = await page.locator("#sluice").boundingBox();
    const logo = await page.locator("header a").first().boundingBox();
    expect(logo?.y).toBeGreaterThanOrEqual((strip?.y ?? 0) + (strip?.height ?? 1_000) - 1);
    const overview = await seen();
    expect(overview).toContain("700,000 tokens/min, 70 % of the quota");
    expect(overview).toContain("By hand: breaker open for 600 s, by anna");
    await page.getByRole("link", { name: "Pools" }).click();
    await page.getByRole("heading", { name: "Pools" }).waitFor();
    await keep("looks-2-pools");
    await page.goto(`${board.url}/queue/${FULL}`);
    await page.getByRole("link", { name: "Dead letters" }).first().click();
    await page.getByRole("heading", { name: "Dead letters" }).waitFor();
  },
);

test.skipIf(found === undefined)(
  `a completed job says how it ended, and has no error of before${where}`,
  async () => {
    const hash = (id: string): string => `${board.space}:${queueName("claude", "standard")}:${id}`;
    const ids: string[] = [];
    for (const outcome of ["completed", "filtered", "cancelled", "started"]) {
      await board.add("text");
      const job = await board.fetchNext();
      const failedReason = "ThrottlingException: slow down";
      await board.redis.hset(hash(job.id ?? ""), {
        failedReason,
        stacktrace: JSON.stringify([failedReason]),
      });
      await job.moveToCompleted({ outcome }, "token", false);
      ids.push(job.id ?? "");
    }
    await page.goto(`${board.url}/queue/${FULL}?status=completed`);
    await page.getByText("filtered: a content filter stopped it").first().waitFor();
    await keep("looks-3-completed");
    await page.setViewportSize({ width: 390, height: 800 });
    await keep("looks-3-narrow");
    await page.setViewportSize({ width: 1_400, height: 900 });
    const listed = await seen();
    expect(listed).toContain("cancelled: nobody wanted it any more");
    expect(listed).toContain("started at Bedrock: its end is polled for");
    expect(listed).not.toContain("slow down");
    await page.goto(`${board.url}/queue/${FULL}/${ids[0] ?? ""}`);
    await page.getByText("Finished at").first().waitFor();
    await keep("looks-4-completed-job");
    expect(await seen()).not.toMatch(/slow down|Failed at/);
  },
);

test.skipIf(found === undefined)(
  `a dead letter has sane times, and no advice that is wrong for it${where}`,
  async () => {
    const diedAt = Date.now() + 3_600_000;
    const id = await board.dead({ errorClass: "SeenException", diedAt });
    await board.classQueue("SeenException");
    await page.goto(`${board.url}/queue/dead-letter.SeenException?status=failed`);
    await page.getByText(id).first().waitFor();
    await keep("looks-5-letters");
    const listed = await seen();
    expect(listed).toContain("1 hour");
    expect(listed).not.toMatch(/\d,?\d{3} days|Enable metrics/);
    await page.goto(`${board.url}/queue/dead-letter.SeenException/${id}`);
    await page.getByText("Failed at").first().waitFor();
    await keep("looks-6-letter");
    expect(await seen()).not.toMatch(/\d,?\d{3} days/);
    expect(faults).toEqual([]);
  },
);
