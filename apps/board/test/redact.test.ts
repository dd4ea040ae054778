/** What the board shows of a job's data, also of versions it does not know. */
import { expect, test } from "vitest";
import { redactData } from "../src/redact.ts";

const data = {
  version: 1,
  id: "p.l.01j9z3n4q5r6s7t8v9w0x1y2z3",
  tenant: "acme",
  pool: "p",
  lane: "l",
  kind: "async",
  payload: { encoding: "json", json: "{}" },
  acceptedAt: 1,
  deadlineAt: 2,
  maxAttempts: 3,
};

test("fields that a later program has added are not shown, wherever they are: nobody knows what is in them", () => {
  const invocation = { arn: "arn:aws:bedrock:x", startedAt: 1 };
  const shown = redactData({ ...data, words: "secret", invocation: { ...invocation, words: "secret" } }, 100);
  expect(shown).toMatchObject({ tenant: "acme", invocation });
  expect(JSON.stringify(shown)).not.toContain("secret");
});

test("of a newer version whose it is, and until when, is shown", () => {
  const shown = redactData({ ...data, version: 2, payload: "secret", kind: "secret", words: "secret" }, 100);
  expect(shown).toEqual({
    version: 2,
    id: data.id,
    tenant: "acme",
    pool: "p",
    lane: "l",
    acceptedAt: 1,
    deadlineAt: 2,
    hidden: "A newer version of Sluice wrote its data (version 2, this program reads up to 1)",
    storedBytes: 100,
  });
});
