import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { testKeySpace, testRedis } from "../../redis/test/redis.ts";
import {
  ChunkReader,
  ChunkStream,
  CHUNKS_TTL_MS,
  OutcomeStore,
  type ChunkEvent,
  type ChunkWriter,
} from "../src/index.ts";
import { completed, dead, id } from "./samples.ts";

function given() {
  const redis = testRedis("command");
  const space = testKeySpace();
  const chunks = new ChunkStream(redis, space);
  const open = (call: number, maxTokens = 1_000): ChunkWriter =>
    chunks.open({ id, call, maxTokens, onError: (error) => expect.unreachable(String(error)) });
  return { redis, space, chunks, open, outcomes: new OutcomeStore(redis, space) };
}

function unexpected(error: unknown): never {
  expect.unreachable(String(error));
}

async function all(events: AsyncIterable<ChunkEvent>): Promise<ChunkEvent[]> {
  const seen: ChunkEvent[] = [];
  for await (const event of events) seen.push(event);
  return seen;
}

/** What a reader has at the end: `restarted` takes back what came before. */
function textOf(events: readonly ChunkEvent[]): string {
  let text = "";
  for (const event of events) {
    if (event.type === "restarted") text = "";
    if (event.type === "text") text += event.text;
  }
  return text;
}

/** The first text that a new reader gets, when there is some. */
async function firstText(chunks: ChunkStream): Promise<string | undefined> {
  for await (const event of chunks.read({ id })) if (event.type === "text") return event.text;
  return undefined;
}

const types = (events: readonly ChunkEvent[]): string[] => events.map(({ type }) => type);

describe("a reader", () => {
  test("sees the text while it is written, to the end", async () => {
    const { chunks, open } = given();
    const seen: ChunkEvent[] = [];
    const writer = open(1);
    for await (const event of chunks.read({ id })) {
      seen.push(event);
      if (event.type === "started") writer.write("Hel");
      if (event.type === "text" && event.text === "Hel") {
        writer.write("lo");
        await writer.end("completed");
      }
    }
    expect(seen).toEqual([
      { id: expect.any(String), type: "started", call: 1 },
      { id: expect.any(String), type: "text", text: "Hel" },
      { id: expect.any(String), type: "text", text: "lo" },
      { id: expect.any(String), type: "completed" },
    ]);
  });

  test("who comes from an earlier life of the job is told to drop its text", async () => {
    const { chunks, open } = given();
    const writer = open(1);
    writer.write("new");
    await writer.end("completed");
    expect(types(await all(chunks.read({ id })))).toEqual(["started", "text", "completed"]);
    expect(types(await all(chunks.read({ id, after: "1-0" })))).toEqual(["restarted", "text", "completed"]);
  });

  test("of a job that is known to be dead waits for nothing, also when nothing of it is kept", async () => {
    const { chunks } = given();
    expect(await all(chunks.read({ id, ended: "failed" }))).toEqual([{ id: "0", type: "failed" }]);
  });

  test("that waits for a job that has not begun gets all of it", async () => {
    const { chunks, open } = given();
    const reading = all(chunks.read({ id }));
    await sleep(100);
    const writer = open(1);
    writer.write("late");
    await writer.end("completed");
    expect(textOf(await reading)).toBe("late");
  });

  test("that comes after the end gets everything, as often as it likes", async () => {
    const { chunks, open } = given();
    const writer = open(1);
    writer.write("whole");
    await writer.end("completed");
    const first = await all(chunks.read({ id }));
    expect(types(first)).toEqual(["started", "text", "completed"]);
    expect(await all(chunks.read({ id }))).toEqual(first);
  });

  test("goes on where it left, event by event, and so does one that had it all", async () => {
    const { chunks, open } = given();
    const writer = open(1);
    for (const text of ["a", "b", "c"]) writer.write(text.repeat(600));
    await writer.end("completed");
    const events = await all(chunks.read({ id }));
    for (const [index, { id: after }] of events.slice(0, -1).entries()) {
      expect(await all(chunks.read({ id, after }))).toEqual(events.slice(index + 1));
    }
  });

  test("sees that a call broke, and only the text of the next one", async () => {
    const { chunks, open } = given();
    const seen: ChunkEvent[] = [];
    const first = open(1);
    first.write("half of");
    for await (const event of chunks.read({ id })) {
      seen.push(event);
      if (event.type === "text" && event.text === "half of") {
        await first.leave();
        const second = open(2);
        second.write("the whole");
        await second.end("completed");
      }
    }
    expect(types(seen)).toEqual(["started", "text", "restarted", "text", "completed"]);
    expect(textOf(seen)).toBe("the whole");
    const late = await all(chunks.read({ id }));
    expect(types(late)).toEqual(["restarted", "text", "completed"]);
    expect(late[0]).toMatchObject({ call: 2 });
  });

  test.each([
    { outcome: dead, end: "failed" },
    { outcome: completed, end: "incomplete" },
  ])("of a job that ended $outcome.outcome without a last event is told $end", async ({ outcome, end }) => {
    const { chunks, outcomes } = given();
    await outcomes.put(outcome);
    expect(types(await all(chunks.read({ id })))).toEqual([end]);
  });

  test("waits for the last event when it sees the outcome first", async () => {
    const { chunks, open, outcomes } = given();
    const writer = open(1);
    await outcomes.put(completed);
    const reading = all(chunks.read({ id }));
    await sleep(300);
    await writer.end("completed");
    expect(types(await reading)).toEqual(["started", "completed"]);
  });

  test("ends with its signal, while it waits and before it begins", async () => {
    const { chunks } = given();
    const abort = new AbortController();
    const reading = all(chunks.read({ id, signal: abort.signal }));
    abort.abort(new Error("the caller left"));
    await expect(reading).rejects.toThrow("the caller left");
    await expect(all(chunks.read({ id, signal: abort.signal }))).rejects.toThrow("the caller left");
  });

  test("who stops early leaves the others alone", async () => {
    const { chunks, open } = given();
    const writer = open(1);
    const reading = all(chunks.read({ id }));
    for await (const event of chunks.read({ id })) {
      expect(event.type).toBe("started");
      break;
    }
    writer.write("whole");
    await writer.end("completed");
    expect(textOf(await reading)).toBe("whole");
  });
});

/** Connections to this Redis by a name of their own. */
async function named(redis: ReturnType<typeof testRedis>) {
  const name = `reader-${randomUUID()}`;
  // For connections made from now on.
  await redis.ping();
  redis.options.connectionName = name;
  return async () => String(await redis.client("LIST")).split(`name=${name}`).length - 1;
}

describe("many readers", () => {
  test("of many jobs share one connection, each with the events of its own", async () => {
    const { redis, space } = given();
    const connections = await named(redis);
    const reader = new ChunkReader(redis);
    const chunks = new ChunkStream(redis, space, reader);
    const jobs = Array.from({ length: 150 }, (_, index) => `p.bulk.${index}`);
    const readings = jobs.flatMap((job) => [all(chunks.read({ id: job })), all(chunks.read({ id: job }))]);
    const writers = jobs.map((job) => chunks.open({ id: job, call: 1, maxTokens: 100, onError: unexpected }));
    for (const [index, writer] of writers.entries()) writer.write(`text of ${jobs[index]}`);
    expect(await connections()).toBeLessThanOrEqual(1);
    await Promise.all(writers.map(async (writer) => writer.end("completed")));
    const texts = (await Promise.all(readings)).map(textOf);
    expect(texts).toEqual(jobs.flatMap((job) => [`text of ${job}`, `text of ${job}`]));
    reader.close();
    await expect.poll(connections, { timeout: 5_000 }).toBe(0);
    await expect(all(chunks.read({ id: "p.bulk.1" }))).rejects.toThrow("closed");
  });

  test("of one text may be at different places of it", async () => {
    const { chunks, open } = given();
    const writer = open(1);
    for (const text of ["a", "b", "c"]) writer.write(text.repeat(600));
    await writer.leave();
    const seen: ChunkEvent[] = [];
    for await (const event of chunks.read({ id })) {
      seen.push(event);
      if (event.type === "text" && event.text.includes("c")) break;
    }
    const readings = [undefined, ...seen.map((event) => event.id)].map(async (after) =>
      all(chunks.read({ id, after })),
    );
    const again = open(2);
    again.write("whole");
    await again.end("completed");
    for (const events of await Promise.all(readings)) expect(textOf(events)).toBe("whole");
  });

  test("are not held up by a stream that cannot be read", async () => {
    const { redis, space, chunks, open } = given();
    const broken = "p.bulk.broken";
    await redis.set(`${space}:chunks:${broken}`, "no stream");
    const failing = Promise.allSettled([all(chunks.read({ id: broken }))]);
    const reading = all(chunks.read({ id }));
    const writer = open(1);
    writer.write("whole");
    expect((await failing).map(({ status }) => status)).toEqual(["rejected"]);
    await writer.end("completed");
    expect(textOf(await reading)).toBe("whole");
  });

  test("pass over an event of a newer version, are told at the end, and hold up nobody", async () => {
    const { redis, space, chunks, outcomes } = given();
    const key = `${space}:chunks:${id}`;
    const started = ["type", "started", "call", "1"];
    for (const fields of [
      started,
      ["type", "text", "text", "a"],
      ["type", "sung", "tune", "b"],
      ["type", "text", "text", "c"],
    ]) {
      await redis.xadd(key, "*", ...fields);
    }
    const other = "p.bulk.other";
    await redis.xadd(`${space}:chunks:${other}`, "*", ...started);
    await redis.xadd(`${space}:chunks:${other}`, "*", "type", "completed");
    const reading = all(chunks.read({ id }));
    expect((await all(chunks.read({ id: other }))).map(({ type }) => type)).toEqual(["started", "completed"]);
    await redis.xadd(key, "*", "type", "completed");
    const events = await reading;
    expect(textOf(events)).toBe("ac");
    expect(events.at(-1)).toMatchObject({ type: "incomplete" });

    // A newer end is none here; the outcome is.
    const [ended] = await redis.xrevrange(key, "+", "-", "COUNT", 1);
    await redis.xdel(key, ended?.[0] ?? "");
    await redis.xadd(key, "*", "type", "faded");
    await outcomes.put(completed);
    expect((await all(chunks.read({ id }))).at(-1)).toMatchObject({ type: "incomplete" });
  });
});

describe("a writer", () => {
  test("coalesces: 1,000 small pieces are a few events", async () => {
    const { chunks, open } = given();
    const writer = open(1, 2_000);
    for (let n = 0; n < 1_000; n += 1) writer.write("word ");
    await writer.end("completed");
    const events = await all(chunks.read({ id }));
    expect(textOf(events)).toBe("word ".repeat(1_000));
    expect(events.length).toBeLessThan(15);
  });

  test("of an earlier call that comes late cannot take a later one's text back", async () => {
    const { chunks, open } = given();
    const second = open(2);
    second.write("second");
    await firstText(chunks);
    const first = open(1);
    first.write("first");
    await first.end("failed");
    await second.end("completed");
    const events = await all(chunks.read({ id }));
    expect(types(events)).toEqual(["started", "text", "completed"]);
    expect(textOf(events)).toBe("second");
  });

  test("whose worker was taken for dead falls silent", async () => {
    const { chunks, open } = given();
    const first = open(1);
    first.write("first");
    expect(await firstText(chunks)).toBe("first");
    const second = open(2);
    second.write("second");
    await expect.poll(async () => firstText(chunks)).toBe("second");
    first.write("first");
    await first.end("failed");
    await second.end("completed");
    const events = await all(chunks.read({ id }));
    expect(types(events)).toEqual(["restarted", "text", "completed"]);
    expect(textOf(events)).toBe("second");
  });

  test("that writes more than its tokens can be is capped, and the text is not called whole", async () => {
    const { chunks, open, redis, space } = given();
    const writer = open(1, 1);
    for (let n = 0; n < 10; n += 1) {
      writer.write("x".repeat(1_000));
      await sleep(5);
    }
    await writer.end("completed");
    const events = await all(chunks.read({ id }));
    expect(textOf(events).length).toBeLessThanOrEqual(4_096 + 64);
    expect(events.at(-1)?.type).toBe("incomplete");
    expect(await redis.xlen(`${space}:chunks:${id}`)).toBeLessThan(10);
  });

  test("takes back what a filter stopped: its readers are told, and whoever comes later sees the other text only", async () => {
    const { chunks, open, redis, space } = given();
    const writer = open(1);
    const seen: ChunkEvent[] = [];
    writer.write("the model's words");
    for await (const event of chunks.read({ id })) {
      seen.push(event);
      if (event.type === "text" && event.text === "the model's words") {
        writer.write(", unsent");
        writer.replace("Not like this");
        await writer.end("incomplete");
      }
    }
    expect(types(seen)).toEqual(["started", "text", "restarted", "text", "incomplete"]);
    expect(textOf(seen)).toBe("Not like this");
    const late = await all(chunks.read({ id }));
    expect(types(late)).toEqual(["restarted", "text", "incomplete"]);
    expect(textOf(late)).toBe("Not like this");
    expect(JSON.stringify(await redis.xrange(`${space}:chunks:${id}`, "-", "+"))).not.toContain("model");
  });

  test("replaces also what was beyond its cap, and what a later call has taken over stays with that", async () => {
    const { chunks, open } = given();
    const first = open(1, 1);
    for (let n = 0; n < 10; n += 1) first.write("x".repeat(1_000));
    first.replace("Not like this");
    await first.leave();
    expect(await firstText(chunks)).toBe("Not like this");
    const second = open(2);
    second.write("second");
    await expect.poll(async () => firstText(chunks)).toBe("second");
    first.replace("too late");
    await second.end("completed");
    expect(textOf(await all(chunks.read({ id })))).toBe("second");
  });

  test("that ends in the middle of a character has written the rest", async () => {
    const { chunks, open } = given();
    const writer = open(1);
    writer.write("one \uD83D");
    await writer.end("incomplete");
    expect(textOf(await all(chunks.read({ id })))).toBe("one \uFFFD");
  });

  test("that ends twice ends once", async () => {
    const { chunks, open } = given();
    const writer = open(1);
    await writer.end("completed");
    await writer.end("failed");
    expect(types(await all(chunks.read({ id })))).toEqual(["started", "completed"]);
  });

  test("leaves keys that expire: while open, and soon after the end", async () => {
    const { open, redis, space } = given();
    const ttls = async (): Promise<number[]> =>
      Promise.all((await redis.keys(`${space}:chunks*`)).map(async (key) => redis.pttl(key)));
    const writer = open(1);
    await expect.poll(ttls).toHaveLength(2);
    for (const ttl of await ttls()) expect(ttl).toBeGreaterThan(CHUNKS_TTL_MS);
    await writer.end("completed");
    for (const ttl of await ttls()) expect(ttl).toBeLessThanOrEqual(CHUNKS_TTL_MS);
  });
});

test("wherever a text is cut into pieces, within a character or between two, it is read as it was", async () => {
  const { chunks } = given();
  let run = 0;
  const cuts = fc.array(fc.nat({ max: 2_000 }), { maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: "binary", maxLength: 1_500 }), cuts, async (text, at) => {
      const job = `p.bulk.${String((run += 1))}`;
      const writer = chunks.open({ id: job, call: 1, maxTokens: 10_000, onError: unexpected });
      let from = 0;
      for (const to of [...at.toSorted((a, b) => a - b), text.length]) {
        writer.write(text.slice(from, to));
        from = Math.max(from, to);
        // Some pieces go out alone, most with others.
        if (to % 3 === 0) await sleep(55);
      }
      await writer.end("completed");
      const events = await all(chunks.read({ id: job }));
      expect(textOf(events)).toBe(text);
    }),
    { numRuns: 25, examples: [["👍".repeat(300), [1, 3, 511, 513]]] },
  );
});

test("whatever is written by however many calls, the text of the last one is read, letter by letter", async () => {
  const { redis, chunks } = given();
  let run = 0;
  const piece = fc.string({ unit: "grapheme", maxLength: 700 });
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(piece, { maxLength: 6 }), { minLength: 1, maxLength: 4 }),
      async (calls) => {
        const job = `p.bulk.${String((run += 1))}`;
        const reading = all(chunks.read({ id: job }));
        for (const [index, pieces] of calls.entries()) {
          const writer = chunks.open({
            id: job,
            call: index + 1,
            maxTokens: 10_000,
            onError: (error) => expect.unreachable(String(error)),
          });
          for (const text of pieces) writer.write(text);
          await (index === calls.length - 1 ? writer.end("completed") : writer.leave());
        }
        const expected = calls.at(-1)?.join("");
        expect(textOf(await reading)).toBe(expected);
        expect(textOf(await all(chunks.read({ id: job })))).toBe(expected);
      },
    ),
    { numRuns: 40 },
  );
  expect(redis.status).toBe("ready");
});
