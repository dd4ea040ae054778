/** The queues of error classes: what to do about each, and who replays what when several ask at once. */
import { adviceFor, FAILURES, OWN_FAILURES } from "@sluice/job";
import { expect, test, vi } from "vitest";
import { z } from "zod";
import { startBoard } from "./given.ts";

const queueSchema = z.looseObject({ name: z.string(), description: z.string().optional() });

test("says what to do about every error class that there is a table of", async () => {
  const rows = Object.values(FAILURES).flatMap(({ errorClasses }) => errorClasses);
  const own = Object.values(OWN_FAILURES).map(({ errorClass }) => errorClass);
  const names = [...new Set([...rows, ...own])];
  expect(names.filter((errorClass) => (adviceFor({ errorClass }) ?? "") === "")).toEqual([]);
  await using many = await startBoard();
  for (const errorClass of names) await many.dead({ errorClass });
  const asked = { activeQueue: "", status: "latest", page: "1", jobsPerPage: "10" };
  await vi.waitFor(async () => {
    const response = await fetch(`${many.url}/api/queues?${new URLSearchParams(asked).toString()}`);
    const { queues: shown } = z.object({ queues: z.array(queueSchema) }).parse(await response.json());
    const told = new Map(shown.map(({ name, description }) => [name, description]));
    expect(names.map((errorClass) => told.get(`dead-letter.${errorClass}`))).toEqual(
      names.map((errorClass) => adviceFor({ errorClass })),
    );
  }, 20_000);
});

test("three who click retry all at once are told of each letter once, whatever classes and pages they use", async () => {
  await using paced = await startBoard({ replaysPerLane: 2 });
  const ids: string[] = [];
  for (let index = 0; index < 9; index += 1) ids.push(await paced.dead({ errorClass: "HerdException" }));
  const all = `${await paced.classQueue("HerdException")}/retry/failed`;
  const answers = await Promise.all([0, 1, 2].map(async () => fetch(all, { method: "PUT" })));
  const counted = await Promise.all(
    answers.map(async (answer) =>
      z.object({ retried: z.number(), skipped: z.number() }).parse(await answer.json()),
    ),
  );
  // A click may find letters replaying already; what it still finds dead it counts as its own or as skipped.
  for (const { retried, skipped } of counted) expect(retried + skipped).toBeLessThanOrEqual(9);
  expect(counted.reduce((sum, { retried }) => sum + retried, 0)).toBe(9);

  // Two letters are on their way, seven wait for room; a page that shows them dead asks for them all again.
  const form = new URLSearchParams([
    ["scope", "ticked"],
    ["start", "yes"],
    ...ids.map((id): [string, string] => ["letter", `${id}~0`]),
  ]);
  const started = await fetch(`${paced.url}/dead-letters/replays`, { method: "POST", body: form });
  expect(started.url).toContain("/dead-letters/replays/");
  const page = await started.text();
  expect(page).toContain("0 of 0");
  expect(page).toContain("9 more were asked for; a run before this one has them");
});
