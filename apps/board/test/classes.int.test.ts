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
  const told = await Promise.all(
    answers.map(
      async (answer) =>
        `${answer.status} ${answer.ok ? JSON.stringify(await answer.json()) : await answer.text()}`,
    ),
  );
  const first = told.filter((each) => each === '200 {"retried":9,"skipped":0}');
  const others = told.filter((each) => /^409 .*local has started the replay of these letters at/.test(each));
  expect([first.length, others.length]).toEqual([1, 2]);

  // Two letters are on their way, seven wait for room; a page that shows them dead asks for them all again.
  const form = new URLSearchParams([
    ["scope", "ticked"],
    ["start", "yes"],
    ...ids.map((id): [string, string] => ["letter", `${id}~0`]),
  ]);
  const started = await fetch(`${paced.url}/dead-letters/replays`, { method: "POST", body: form });
  expect(started.url).toContain("/dead-letters/replays/");
  const page = await started.text();
  expect(page).toContain("of 9.");
  expect(page).toContain("No other replay was started: this one has the letters");
});
