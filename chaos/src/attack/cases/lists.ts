/** Lists that anybody may ask for: whatever he asks, Redis is not held up and the answer is short. */
import { randomBytes } from "node:crypto";
import { newJobId } from "@sluice/job";
import { encodePayload } from "@sluice/job/payload";
import { must, type Attack, type AttackCase } from "../attack.ts";
import { ask, type Reply } from "../http.ts";
import { POOL } from "../pools.ts";
import type { Site } from "../site.ts";

/** Together 26 MB of requests that do not shrink. */
const JOBS = 400;
const BYTES = 48 * 1024;

const LONGEST_ANSWER = 1024 * 1024;
/** What one command of Redis may take; before, pages took it 0.9 to 11 s. */
const LONGEST_COMMAND_MS = 100;
const LONGEST_PING_MS = 1_500;
/** What Redis may send for one page: counts and states included. */
const MOST_READ = 2 * 1024 * 1024;

const filled = new WeakMap<Site, Promise<void>>();

/** A lane of long requests, filled once. */
async function fill(site: Site): Promise<void> {
  const known = filled.get(site) ?? add(site);
  filled.set(site, known);
  await known;
}

async function add(site: Site): Promise<void> {
  const lane = site.installation.records.lane(POOL, "critical");
  const now = Date.now();
  for (let at = 0; at < JOBS; at += 50) {
    await Promise.all(
      Array.from({ length: 50 }, async () => {
        const text = randomBytes(BYTES).toString("base64");
        const payload = await encodePayload({
          messages: [{ role: "user", content: [{ text }] }],
          maxTokens: 10,
        });
        const times = { acceptedAt: now, deadlineAt: now + 600_000, maxAttempts: 3 };
        const where = { pool: POOL, lane: "critical", tenant: "default", kind: "converse" } as const;
        await lane.add({ version: 1, id: newJobId(POOL, "critical", now), ...where, payload, ...times });
      }),
    );
  }
}

/** What Redis has sent so far, and its slowest command since the last look. */
async function redisSays(site: Site): Promise<{ sent: number; slowestMs: number }> {
  const [, sent = "0"] =
    /total_net_output_bytes:(\d+)/.exec(String(await site.redis.call("INFO", "stats"))) ?? [];
  const entries: unknown = await site.redis.call("SLOWLOG", "GET", "100");
  const micros = Array.isArray(entries)
    ? entries.map((entry) => Number(Array.isArray(entry) ? entry[2] : 0))
    : [];
  return { sent: Number(sent), slowestMs: Math.max(0, ...micros) / 1_000 };
}

/** Asks several at once while somebody else asks Redis for the time. */
async function stall(site: Site, asked: () => Promise<Reply>, atOnce: number): Promise<void> {
  await fill(site);
  await site.redis.call("CONFIG", "SET", "slowlog-log-slower-than", "20000");
  await site.redis.call("SLOWLOG", "RESET");
  const before = await redisSays(site);
  let slowest = 0;
  const over = new AbortController();
  const pings = (async () => {
    while (!over.signal.aborted) {
      const from = performance.now();
      await site.redis.ping();
      slowest = Math.max(slowest, performance.now() - from);
    }
  })();
  const replies = await Promise.all(Array.from({ length: atOnce }, asked));
  over.abort();
  await pings;
  const after = await redisSays(site);
  for (const { status, text } of replies) {
    must(status > 0 && (status < 500 || status === 503), `answered ${status}: ${text.slice(0, 200)}`);
    must(text.length <= LONGEST_ANSWER, `an answer of ${text.length} bytes`);
  }
  must(after.slowestMs <= LONGEST_COMMAND_MS, `one command held Redis up for ${after.slowestMs} ms`);
  must(slowest <= LONGEST_PING_MS, `Redis answered a PING after ${Math.round(slowest)} ms`);
  const read = (after.sent - before.sent) / atOnce;
  must(read <= MOST_READ, `${Math.round(read)} bytes were read for each of them`);
}

const QUEUE = "/api/queues?activeQueue=claude.critical&status=latest";

/** How a page can be made long. */
const PAGES: Readonly<Record<string, string>> = {
  "a million jobs": `${QUEUE}&page=1&jobsPerPage=1000000`,
  "a million jobs, of all queues": "/api/queues?page=1&jobsPerPage=1000000",
  "by a second size": `${QUEUE}&page=1&jobsPerPage=10&jobsPerPage=1000000`,
  "by a list of sizes": `${QUEUE}&page=1&jobsPerPage[]=1000000`,
  "by a second question mark": `${QUEUE}&x=1?&page=1&jobsPerPage=1000000`,
  "by an encoded name": `${QUEUE}&page=1&jobs%50erPage=1000000`,
  "by an infinite size": `${QUEUE}&page=1&jobsPerPage=Infinity`,
  "by a hexadecimal size": `${QUEUE}&page=1&jobsPerPage=0xfffff`,
  "by an exponent": `${QUEUE}&page=1&jobsPerPage=1e6`,
  "by a negative page": `${QUEUE}&page=-1&jobsPerPage=300`,
  "by a negative size": `${QUEUE}&page=1&jobsPerPage=-1`,
  "a page far out": `${QUEUE}&page=1000000000&jobsPerPage=300`,
  "of every state": `/api/queues?activeQueue=claude.critical&status=prioritized&page=1&jobsPerPage=1000000`,
};

const pages = Object.entries(PAGES).map(([name, path]): Attack => ({
  name: `lane: ${name}`,
  holds: `Eight viewers who ask for ${path} at once hold Redis up for no longer than ${LONGEST_COMMAND_MS} ms and get less than 1 MiB`,
  run: async (site) => {
    const { url } = await site.board("open");
    await stall(site, async () => ask(url, path), 8);
  },
}));

/** Letters of a class: more than a page. */
const LETTERS = 400;
const CLASS = "PageException";

export const lists: AttackCase = {
  name: "lists",
  trials: [
    ...pages,
    {
      name: "letters: any size",
      holds: "A page of letters has 300 at most, however its size is written",
      run: async (site) => {
        const { url } = await site.board("local");
        for (let made = 0; made < LETTERS; made += 20) {
          await Promise.all(Array.from({ length: 20 }, async () => site.dead({ errorClass: CLASS })));
        }
        await site.untilListed(url, CLASS, await site.dead({ errorClass: CLASS }));
        const queue = `/api/queues?activeQueue=dead-letter.${CLASS}&status=failed`;
        const sizes = ["&page=1&jobsPerPage=1000000", "&page=1&jobsPerPage=10&jobsPerPage=1000000"];
        const odd = [
          "&x=1?&page=1&jobsPerPage=1000000",
          "&page=1&jobsPerPage[]=1000000",
          "&page=1&jobsPerPage=1e6",
        ];
        for (const size of [...sizes, ...odd]) {
          const reply = await ask(url, `${queue}${size}`);
          const listed = reply.text.match(/"id":"claude\.standard\.[0-9a-z]{26}"/g)?.length ?? 0;
          must(
            listed <= 300 && reply.text.length <= LONGEST_ANSWER,
            `${size}: ${listed} letters, ${reply.text.length} bytes`,
          );
          must(reply.status < 500, `${size}: ${reply.status}`);
        }
      },
    },
    {
      name: "searches",
      holds: "60 different searches for a text at once are answered or told to wait, and the board goes on",
      run: async (site) => {
        const { url } = await site.board("open");
        const replies = await Promise.all(
          Array.from({ length: 60 }, async (_, index) =>
            ask(url, `/dead-letters?text=${"a".repeat(150)}${index}`),
          ),
        );
        for (const { status, text } of replies)
          must([200, 503].includes(status), `${status}: ${text.slice(0, 100)}`);
        const next = await ask(url, "/healthz", { timeoutMs: 5_000 });
        must(next.status === 200, "it does not answer any more");
      },
    },
    {
      name: "charts and other reads",
      holds: "No other read of the board, with any span or range, holds Redis up",
      run: async (site) => {
        const { url } = await site.board("open");
        const reads = [
          "/api/queues/claude.critical/metrics?start=0&end=1000000000",
          "/api/metrics/history?hours=1000000&queue=claude.critical",
          "/api/metrics/latency?hours=1000000",
          "/api/redis/stats",
          "/api/queues/claude.critical/workers",
          "/api/job-schedulers",
          "/api/queues/claude.critical/default-job-options",
          "/pools/now.json",
        ];
        for (const read of reads) {
          const { text, status } = await ask(url, read);
          must(text.length <= LONGEST_ANSWER, `${read}: ${text.length} bytes, ${status}`);
        }
        await stall(site, async () => ask(url, "/api/redis/stats"), 8);
      },
    },
    {
      name: "explain",
      holds: "Why one job waits behind many is told without a look at all of them",
      run: async (site) => {
        const { url } = await site.api();
        const id = await site.waits("last", "critical");
        await stall(site, async () => ask(url, `/v1/jobs/${id}/explain`), 8);
        await stall(site, async () => ask(url, `/v1/pools/${POOL}`), 8);
      },
    },
  ],
};
