/** Which workers have no credentials: each says it of itself, and a word outlives nobody. */
import { expect, onTestFinished, test, vi } from "vitest";
import { testKeySpace, testRedis } from "../../redis/test/redis.ts";
import { describeDenied, describeIdentities, IdentityNote, readIdentities } from "../src/index.ts";
import { member, type Member } from "./fleet.ts";

function noteOf({ redis, owner }: Member, keySpace: ReturnType<typeof testKeySpace>, ttlMs = 30_000) {
  const note = new IdentityNote({ redis, keySpace, owner, ttlMs, onError: () => {} });
  onTestFinished(async () => note.stop());
  return note;
}

const NONE = { workers: 0, errorClasses: [] };

const EXPIRED = { errorClass: "ExpiredTokenException", since: 1 };

test("workers that have some say nothing; those that have none are counted, by class", async () => {
  const space = testKeySpace();
  const redis = testRedis("command");
  expect(await readIdentities(redis, space)).toEqual({
    workers: 0,
    lost: 0,
    errorClasses: [],
    unreached: NONE,
  });
  const [a, b, c] = [await member(space), await member(space), await member(space)];
  expect(await readIdentities(redis, space)).toEqual({
    workers: 3,
    lost: 0,
    errorClasses: [],
    unreached: NONE,
  });

  const notes = [noteOf(a, space), noteOf(b, space), noteOf(c, space)];
  notes[0]?.tell(EXPIRED);
  await vi.waitFor(async () => expect(await readIdentities(redis, space)).toMatchObject({ lost: 1 }));
  notes[1]?.tell({ ...EXPIRED, errorClass: "CredentialsProviderError" });
  notes[2]?.tell(EXPIRED);
  await vi.waitFor(async () =>
    expect(await readIdentities(redis, space)).toEqual({
      workers: 3,
      lost: 3,
      errorClasses: ["ExpiredTokenException", "CredentialsProviderError"],
      unreached: NONE,
    }),
  );
  notes[0]?.tell(undefined);
  await vi.waitFor(async () => expect(await readIdentities(redis, space)).toMatchObject({ lost: 2 }));
  notes[1]?.tell({ why: "way", errorClass: "ConnectionError", since: 1 });
  await vi.waitFor(async () =>
    expect(await readIdentities(redis, space)).toMatchObject({
      lost: 1,
      unreached: { workers: 1, errorClasses: ["ConnectionError"] },
    }),
  );
});

test("a worker that is gone counts no more, nor does what it said", async () => {
  const space = testKeySpace();
  const redis = testRedis("command");
  const [lost] = [await member(space), await member(space)];
  const note = noteOf(lost, space);
  note.tell(EXPIRED);
  await vi.waitFor(async () =>
    expect(await readIdentities(redis, space)).toMatchObject({ workers: 2, lost: 1 }),
  );
  await note.stop();
  await lost.heartbeat.stop();
  expect(await readIdentities(redis, space)).toEqual({
    workers: 1,
    lost: 0,
    errorClasses: [],
    unreached: NONE,
  });
});

test("what is said lives no longer than a beat, and is said again with each", async () => {
  const space = testKeySpace();
  const redis = testRedis("command");
  const worker = await member(space);
  const note = noteOf(worker, space, 600);
  note.tell(EXPIRED);
  await vi.waitFor(async () => expect(await readIdentities(redis, space)).toMatchObject({ lost: 1 }));
  const key = `${space}:identity:${worker.owner}`;
  expect(await redis.pttl(key)).toBeGreaterThan(0);
  // Nobody says it again after this.
  await note.stop();
  await redis.set(key, JSON.stringify(EXPIRED), "PX", 50);
  await vi.waitFor(async () => expect(await readIdentities(redis, space)).toMatchObject({ lost: 0 }));
});

test.each(["no JSON", "{}", '{"errorClass":"Not a class!","since":1}'])(
  "a word that cannot be read counts as one of an unknown class: %s",
  async (word) => {
    const space = testKeySpace();
    const redis = testRedis("command");
    const { owner } = await member(space);
    await redis.set(`${space}:identity:${owner}`, word, "PX", 5_000);
    expect(await readIdentities(redis, space)).toEqual({
      workers: 1,
      lost: 1,
      errorClasses: ["UnknownError"],
      unreached: NONE,
    });
  },
);

test.each([
  [{ workers: 3, lost: 0, errorClasses: [], unreached: NONE }, undefined],
  [
    { workers: 3, lost: 1, errorClasses: ["A"], unreached: NONE },
    { line: "1 of 3 workers has no valid credentials (A)", isolated: false },
  ],
  [
    { workers: 3, lost: 3, errorClasses: ["A", "B"], unreached: NONE },
    { line: "Isolated: 3 of 3 workers have no valid credentials (A, B)", isolated: true },
  ],
  [
    { workers: 3, lost: 0, errorClasses: [], unreached: { workers: 1, errorClasses: ["A"] } },
    { line: "1 of 3 workers cannot reach Bedrock (A)", isolated: false },
  ],
  [
    { workers: 2, lost: 1, errorClasses: ["A"], unreached: { workers: 1, errorClasses: ["B"] } },
    {
      line: "Isolated: 1 of 2 workers has no valid credentials (A); 1 of 2 workers cannot reach Bedrock (B)",
      isolated: true,
    },
  ],
])("in words: %o", (identities, expected) => {
  expect(describeIdentities(identities)).toEqual(expected);
});

test("a process that is denied what others may call is named while it lives", () => {
  const since = Date.UTC(2026, 0, 1);
  const denied = [
    { process: "0b4f7a52-sick", operation: "converse", sinceMs: since + 1_000 },
    { process: "0b4f7a52-sick", operation: "stream", sinceMs: since },
    { process: "gone", operation: "invoke", sinceMs: 0 },
  ];
  expect(describeDenied(denied, ["well", "0b4f7a52-sick", "too"])).toBe(
    "1 of 3 workers is denied what others may call (converse, stream) since 2026-01-01T00:00:00.000Z: the role of 0b4f7a52",
  );
  expect(describeDenied(denied, ["well"])).toBeUndefined();
});
