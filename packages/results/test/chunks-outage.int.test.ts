import { setTimeout as sleep } from "node:timers/promises";
import { expect, test, vi } from "vitest";
import { testKeySpace, testRedis } from "../../redis/test/redis.ts";
import { ownRedis } from "../../services/test/own-redis.ts";
import { ChunkStream, type ChunkEvent } from "../src/index.ts";
import { id } from "./samples.ts";

test("Redis is stopped, then killed, in the middle of a text: every piece is read once and in order", async () => {
  const redis = await ownRedis();
  const errors: unknown[] = [];
  const chunks = new ChunkStream(testRedis("command", redis.url), testKeySpace());
  const reading = (async () => {
    let text = "";
    for await (const event of chunks.read({ id })) if (event.type === "text") text += event.text;
    return text;
  })();
  const writer = chunks.open({ id, call: 1, maxTokens: 10_000, onError: (error) => errors.push(error) });
  const written: string[] = [];
  const writeFor = async (ms: number): Promise<void> => {
    const until = Date.now() + ms;
    while (Date.now() < until) {
      const text = `${String(written.length)} `;
      written.push(text);
      writer.write(text);
      await sleep(5);
    }
  };

  await writeFor(200);
  // Longer than the bound of a command: pieces are sent again although the server has them in its socket.
  process.kill(redis.pid, "SIGSTOP");
  await writeFor(2_500);
  process.kill(redis.pid, "SIGCONT");
  await writeFor(200);
  await redis.kill();
  await writeFor(1_000);
  await redis.restart();
  await writeFor(200);

  for (let ended = false; !ended;) {
    ended = await writer.end("completed").then(
      () => true,
      () => false,
    );
  }
  expect(errors.length).toBeGreaterThan(0);
  expect(await reading).toBe(written.join(""));
});

test("a fast stream asks a full Redis twice a second, and goes on when there is room", async () => {
  const { url } = await ownRedis();
  const redis = testRedis("command", url);
  const chunks = new ChunkStream(redis, testKeySpace());
  // In small pieces: what a connection has just read takes room too, for a while.
  const filler = Array.from({ length: 64 }, (_, index) => `filler-${index}`);
  for (const key of filler) await redis.set(key, "x".repeat(64 * 1024));
  await redis.config("SET", "maxmemory", 4 * 1024 * 1024);
  const errors: unknown[] = [];
  const writer = chunks.open({ id, call: 1, maxTokens: 10_000, onError: (error) => errors.push(error) });
  const startedAt = Date.now();
  for (let piece = 0; piece < 100; piece += 1) {
    writer.write(`${piece} `.repeat(300));
    // Each piece is one that goes out at once.
    await redis.ping();
  }
  await vi.waitFor(() => expect(errors.length).toBeGreaterThan(0));
  // Pieces that share a refused command each tell of it.
  expect(errors.length).toBeLessThan(10 + (Date.now() - startedAt) / 250);
  await redis.del(filler);
  await writer.end("completed");
  const events: ChunkEvent[] = [];
  for await (const event of chunks.read({ id })) events.push(event);
  expect(events.at(-1)).toMatchObject({ type: "completed" });
  expect(events.some((event) => event.type === "text" && event.text.endsWith("99 "))).toBe(true);
});
