/** The plan: repeatable, complete, and such that faults of one job do not become those of another. */
import { submissionSchema } from "@sluice/job";
import { expect, test } from "vitest";
import { makePlan } from "../src/jobs/plan.ts";
import { ROWS } from "../src/jobs/rows.ts";

const plan = makePlan(500, 7);

test("the same seed makes the same jobs, another one others", () => {
  expect(makePlan(500, 7)).toEqual(plan);
  expect(makePlan(500, 8).jobs).not.toEqual(plan.jobs);
});

test("every row comes, on every kind of call, beside jobs to which nothing happens", () => {
  const faults = new Set(plan.jobs.map(({ fault }) => fault));
  expect([...new Set(ROWS.map(({ fault }) => fault))].filter((fault) => !faults.has(fault))).toEqual([]);
  expect(faults).toContain(undefined);
  expect(new Set(plan.jobs.map(({ kind }) => kind))).toEqual(
    new Set(["converse", "stream", "invoke", "async"]),
  );
});

test("every submission is one that the API takes, for a pool that is there", () => {
  for (const { submission } of plan.jobs) {
    const { pool } = submissionSchema.parse(submission);
    expect(Object.keys(plan.pools.pools)).toContain(pool);
  }
});

test("no two prompts are the same, since a marker counts its strikes by prompt", () => {
  const texts = plan.jobs.map(({ submission: { prompt, body, modelInput } }) =>
    JSON.stringify(prompt ?? body ?? modelInput),
  );
  expect(new Set(texts).size).toBe(texts.length);
});

test("no pool has more jobs than its budget of retries serves", () => {
  const byPool = Object.groupBy(plan.jobs, ({ submission }) => String(submission["pool"]));
  for (const jobs of Object.values(byPool)) expect(jobs?.length).toBeLessThan(150);
});
