/** An edited request goes where an accepted one may go, and nowhere else. */
import { parsePools } from "@sluice/config";
import { createMemoryStore, type DeadLetter } from "@sluice/dead-letter";
import { newJobId } from "@sluice/job";
import { decodePayload, encodePayload } from "@sluice/job/payload";
import { expect, test } from "vitest";
import { editLetter } from "../src/letters/edit.ts";

const POOL = { scope: "main", model: "amazon.nova-reel-v1:1", quota: { tokensPerMinute: 1_000_000 } };

const poolsWith = (asyncOutputs: readonly string[]) =>
  parsePools(
    JSON.stringify({
      scopes: { main: { region: "us-east-1" } },
      pools: { video: { ...POOL, asyncOutputs } },
    }),
    "pools.yaml",
  );

const modelInput = { prompt: "A mill by the river" };

async function given() {
  const store = createMemoryStore();
  const now = Date.now();
  const id = newJobId("video", "bulk", now);
  const payload = await encodePayload({ modelInput, outputS3Uri: "s3://answers/mills" });
  const names = { id, tenant: "default", pool: "video", lane: "bulk", kind: "async" } as const;
  const data = {
    version: 1,
    ...names,
    payload,
    acceptedAt: now,
    deadlineAt: now + 1_000,
    maxAttempts: 1,
  } as const;
  const failure = { kind: "terminal", errorClass: "ValidationException", message: "No" } as const;
  await store.put({ data, failure, attempts: 1, stalls: 0, diedAt: now });
  const letter = await store.get(id);
  if (letter === undefined) throw new Error("Expected the letter to be there");
  return { store, letter };
}

const editTo = (letter: DeadLetter, outputS3Uri: string) => ({
  by: "ann",
  revision: letter.revision,
  request: { modelInput, outputS3Uri },
});

test.each([
  [[], "takes no `async` jobs"],
  [["s3://answers/mills"], "in one of s3://answers/mills"],
])("with places %j, an answer goes to no other", async (outputs, says) => {
  const { store, letter } = await given();
  const edit = editTo(letter, "s3://somebody-elses/bucket");
  await expect(editLetter(store, poolsWith(outputs), letter, edit)).rejects.toMatchObject({
    statusCode: 422,
    message: expect.stringContaining(says) as unknown,
  });
  expect((await store.get(letter.id))?.revision).toBe(letter.revision);
});

test("an answer may go to a listed place", async () => {
  const { store, letter } = await given();
  await editLetter(store, poolsWith(["s3://answers"]), letter, editTo(letter, "s3://answers/rivers"));
  const edited = await store.get(letter.id);
  expect(edited && (await decodePayload(edited.data.payload))).toMatchObject({
    outputS3Uri: "s3://answers/rivers",
  });
});

test("a request that the pool's quota can never admit is refused, as at the front door", async () => {
  const store = createMemoryStore();
  const now = Date.now();
  const names = { id: newJobId("video", "bulk", now), tenant: "default", pool: "video", lane: "bulk" };
  const request = { messages: [{ role: "user", content: [{ text: "Hello" }] }], maxTokens: 10 };
  const payload = await encodePayload(request);
  const times = { acceptedAt: now, deadlineAt: now + 1_000, maxAttempts: 1 };
  const failure = { kind: "terminal", errorClass: "ValidationException", message: "No" } as const;
  const data = { version: 1, kind: "converse", ...names, ...times, payload } as const;
  await store.put({ data, failure, attempts: 1, stalls: 0, diedAt: now });
  const letter = await store.get(names.id);
  if (letter === undefined) throw new Error("Expected the letter to be there");
  const long = [{ role: "user", content: [{ text: "word ".repeat(100_000) }] }];
  const edit = { by: "ann", revision: letter.revision, request: { ...request, messages: long } };
  const small = parsePools(
    JSON.stringify({
      scopes: { main: { region: "us-east-1" } },
      pools: { video: { ...POOL, quota: { tokensPerMinute: 10_000 } } },
    }),
    "pools.yaml",
  );
  await expect(editLetter(store, small, letter, edit)).rejects.toMatchObject({
    statusCode: 422,
    message: expect.stringContaining("tokens") as unknown,
  });
  expect((await store.get(letter.id))?.revision).toBe(letter.revision);
});
