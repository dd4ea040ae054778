import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { ownRedis, testKeySpace, testRedis } from "../../redis/test/redis.ts";
import { ChunkStream } from "../src/index.ts";
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
