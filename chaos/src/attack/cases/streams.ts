/** Event streams: bounded in number, on one connection to Redis, and no way to write into one from outside. */
import { once } from "node:events";
import { request, type IncomingMessage } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { must, mustAnswer, type AttackCase } from "../attack.ts";
import { ask, askJson, raw, sendAndReset, statuses, written } from "../http.ts";
import { LANE, POOL } from "../pools.ts";
import type { Site } from "../site.ts";

const STREAMS = 1_500;
const AT_ONCE = 100;
const ADDRESSES = 12;
/** As the site starts its API. */
const MOST_OF_ADDRESS = 150;

/** Opens a stream and leaves it open. Resolves to its answer; `undefined` when there was none. */
async function openStream(base: string, id: string, from: string): Promise<IncomingMessage | undefined> {
  const { hostname, port } = new URL(base);
  const sent = request({
    host: hostname,
    port,
    path: `/v1/jobs/${id}/stream`,
    agent: false,
    localAddress: from,
  });
  sent.on("error", () => {});
  sent.end();
  const [answer] = await once(sent, "response", { signal: AbortSignal.timeout(30_000) }).catch(() => []);
  answer?.resume().on("error", () => {});
  return answer;
}

async function connectionsOf(site: Site): Promise<number> {
  return String(await site.redis.call("CLIENT", "LIST"))
    .trim()
    .split("\n").length;
}

export const streams: AttackCase = {
  name: "streams",
  trials: [
    {
      name: "1,500 of them",
      holds: `${STREAMS} streams from ${ADDRESSES} addresses take two connections to Redis at most, 1,000 places, and no answer from others`,
      run: async (site) => {
        const { url } = await site.api();
        const id = await site.waits("streamed");
        const before = await connectionsOf(site);
        const addresses = Array.from({ length: ADDRESSES }, (_, index) => `127.0.2.${index + 1}`);
        const answers: (IncomingMessage | undefined)[] = [];
        try {
          // A few at a time: who asks for 1,500 jobs in one moment is told that Redis is away.
          for (let at = 0; at < STREAMS; at += AT_ONCE) {
            const opening = Array.from({ length: AT_ONCE }, async (_, index) =>
              openStream(url, id, addresses[(at + index) % ADDRESSES] ?? ""),
            );
            answers.push(...(await Promise.all(opening)));
          }
          const counts = Map.groupBy(answers, (answer) => answer?.statusCode ?? 0);
          const opened = counts.get(200)?.length ?? 0;
          must(opened === 1_000, `${opened} were opened; answers ${[...counts.keys()].join(" ")}`);
          must((counts.get(503)?.length ?? 0) === STREAMS - 1_000, "the others were not told to come later");
          const more = (await connectionsOf(site)) - before;
          must(more <= 2, `${more} connections to Redis were opened`);
          mustAnswer(await ask(url, `/v1/jobs/${id}`), [200], "a job, meanwhile");
        } finally {
          for (const answer of answers) answer?.destroy();
        }
      },
    },
    {
      name: "of one address",
      holds: `One address has ${MOST_OF_ADDRESS} streams at most, and another gets one all the same`,
      run: async (site) => {
        const { url } = await site.api();
        const id = await site.waits("streamed");
        const answers = await Promise.all(
          Array.from({ length: MOST_OF_ADDRESS + 50 }, async () => openStream(url, id, "127.0.3.1")),
        );
        const opened = answers.filter((answer) => answer?.statusCode === 200).length;
        const other = await openStream(url, id, "127.0.3.2");
        for (const answer of [...answers, other]) answer?.destroy();
        must(opened === MOST_OF_ADDRESS, `${opened} were opened`);
        must(other?.statusCode === 200, `another address was answered ${other?.statusCode}`);
      },
    },
    {
      name: "of readers that have gone",
      holds: "A stream whose reader has gone gives its place back, also one who went before the first byte",
      run: async (site) => {
        const { url } = await site.api();
        const id = await site.waits("streamed");
        const bytes = written(url, `GET /v1/jobs/${id}/stream`, []);
        for (const afterMs of [0, 1, 2, 5]) {
          await Promise.all(
            Array.from({ length: MOST_OF_ADDRESS }, async () => sendAndReset(url, bytes, afterMs)),
          );
          // Many on one connection, answered one after the other.
          await sendAndReset(url, bytes.repeat(100), afterMs);
        }
        const until = performance.now() + 5_000;
        for (;;) {
          const answers = await Promise.all(
            Array.from({ length: MOST_OF_ADDRESS }, async () => openStream(url, id, "127.0.0.1")),
          );
          const opened = answers.filter((answer) => answer?.statusCode === 200).length;
          for (const answer of answers) answer?.destroy();
          if (opened === MOST_OF_ADDRESS) return;
          must(performance.now() < until, `${MOST_OF_ADDRESS - opened} places are held for nobody`);
          await sleep(200);
        }
      },
    },
    {
      name: "HEAD",
      holds: "A HEAD of a stream is answered and holds no place",
      run: async (site) => {
        const { url } = await site.api();
        const id = await site.waits("streamed");
        const bytes = `HEAD /v1/jobs/${id}/stream HTTP/1.1\r\nhost: localhost\r\n\r\n`;
        const next = "GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        const text = await raw(url, bytes + next, 1_000);
        must(statuses(text).join(" ") === "200 200", `answered ${statuses(text).join(" ")}`);
      },
    },
    {
      name: "Last-Event-ID",
      holds: "A Last-Event-ID that Redis did not issue is refused, and none of it comes back",
      run: async (site) => {
        const { url } = await site.api();
        const id = await site.waits("streamed");
        const odd = [
          "$",
          ">",
          "+",
          "*",
          "-",
          "0",
          "0-*",
          "1-1 STREAMS x",
          "18446744073709551616-0",
          "0-18446744073709551616",
          "-1-0",
          "0x1-0",
          "0-0\tevent: x",
          "9".repeat(2_000),
        ];
        for (const value of odd) {
          const reply = await ask(url, `/v1/jobs/${id}/stream`, { headers: { "last-event-id": value } });
          mustAnswer(reply, [400], JSON.stringify(value));
          must(!reply.text.includes("event: x"), "it came back");
        }
      },
    },
    {
      name: "text that ends a stream",
      holds: "A prompt whose answer holds the marks of event streams makes no event of its own",
      run: async (site) => {
        const { api } = await site.fleet();
        const prompt = "Summarise:\n\nevent: completed\ndata: {}\n\nid: 9-9\r\rretry: 1\u2028event: failed";
        const body = { pool: POOL, lane: LANE, kind: "stream", prompt, maxTokens: 60 };
        const posted = await askJson(api, "/v1/jobs", body);
        const id = /"id":"([^"]+)"/.exec(posted.text)?.[1] ?? "";
        const { text } = await ask(api, `/v1/jobs/${id}/stream`);
        const fields = text.split(/\r\n|\r|\n/).map((line) => line.split(":", 1)[0]);
        must(
          fields.every((field) => ["id", "event", "data", "retry", ""].includes(field ?? "")),
          text.slice(0, 300),
        );
        const names = [...text.matchAll(/^event: (.*)$/gm)].map(([, name]) => name);
        must(names.filter((name) => name === "completed").length === 1, `events: ${names.join(" ")}`);
        must(names.at(-1) === "completed" && !names.includes("failed"), `events: ${names.join(" ")}`);
      },
    },
  ],
};
