/** Where a request ends: what two programs could read differently is refused, and nothing hides behind it. */
import { setTimeout as sleep } from "node:timers/promises";
import { must, type Attack, type AttackCase } from "../attack.ts";
import { closed, open, raw, statuses } from "../http.ts";
import { LANE, POOL } from "../pools.ts";
import type { Site } from "../site.ts";

const HIDDEN = "GET /hidden HTTP/1.1\r\nhost: localhost\r\n\r\n";
const JSON_TYPE = "content-type: application/json";

/** Heads and bodies that front and back could cut at different places. `HIDDEN` must never be answered. */
const FRAMINGS: Readonly<Record<string, readonly [heads: readonly string[], body: string]>> = {
  "length and chunks": [["content-length: 6", "transfer-encoding: chunked"], `0\r\n\r\n${HIDDEN}`],
  "chunks and length": [["transfer-encoding: chunked", "content-length: 6"], `0\r\n\r\n${HIDDEN}`],
  "two lengths": [["content-length: 2", "content-length: 60"], `{}${HIDDEN}`],
  "a list of lengths": [["content-length: 2, 60"], `{}${HIDDEN}`],
  "a signed length": [["content-length: +2"], `{}${HIDDEN}`],
  "a hexadecimal length": [["content-length: 0x2"], `{}${HIDDEN}`],
  "a negative length": [["content-length: -1"], HIDDEN],
  "a length beyond 64 bits": [["content-length: 18446744073709551618"], `{}${HIDDEN}`],
  "unknown coding": [["transfer-encoding: xchunked"], `0\r\n\r\n${HIDDEN}`],
  "coding after chunks": [["transfer-encoding: chunked, identity"], `0\r\n\r\n${HIDDEN}`],
  "two codings": [["transfer-encoding: chunked", "transfer-encoding: identity"], `0\r\n\r\n${HIDDEN}`],
  "a coding with a tab": [["transfer-encoding:\tchunked", "content-length: 5"], `0\r\n\r\n${HIDDEN}`],
  "space before the colon": [["content-length : 2"], `{}${HIDDEN}`],
  "a folded header": [["x-a: b\r\n content-length: 2"], `{}${HIDDEN}`],
  "a bare line feed": [["x-a: b\ncontent-length: 0"], HIDDEN],
  "a bare return": [["x-a: b\rcontent-length: 0"], HIDDEN],
  "NUL in a header": [["x-a: b\0c", "content-length: 0"], ""],
  "a chunk size too long": [["transfer-encoding: chunked"], `FFFFFFFFFFFFFFFFF\r\n{}\r\n0\r\n\r\n${HIDDEN}`],
  "a chunk without its end": [["transfer-encoding: chunked"], `2\r\n{}x\r\n0\r\n\r\n${HIDDEN}`],
  "a chunk's bare line feed": [["transfer-encoding: chunked"], `2;\n{}\r\n0\r\n\r\n${HIDDEN}`],
};

async function frame(base: string, [heads, body]: readonly [readonly string[], string]): Promise<void> {
  const head = ["POST /v1/jobs HTTP/1.1", "host: localhost", JSON_TYPE, ...heads].join("\r\n");
  const text = await raw(base, `${head}\r\n\r\n${body}`, 150);
  const answered = statuses(text);
  must(answered.length <= 1, `${answered.length} answers: what was hidden has been asked for`);
  must(answered.length === 0 || answered[0] === 400, `answered ${answered[0]}, expected 400`);
}

const byFraming = Object.entries(FRAMINGS).map(([name, framing]): Attack => ({
  name,
  holds: `A request with ${name} is refused by API, board and simulator, and ends its connection`,
  run: async (site) => {
    const bases = [(await site.api()).url, (await site.board("local")).url, site.services.simulatorUrl];
    await Promise.all(bases.map(async (base) => frame(base, framing)));
  },
}));

async function pipelined(site: Site): Promise<void> {
  const { url } = await site.api();
  const one = `GET /v1/pools/${POOL} HTTP/1.1\r\nhost: localhost\r\n\r\n`;
  const last = "GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
  const text = await raw(url, one.repeat(200) + last, 2_000);
  const answered = statuses(text);
  must(answered.length === 201, `${answered.length} answers to 201 requests`);
  must(text.trimEnd().endsWith('{"status":"ok"}'), "the last answer is not that of the last request");
}

export const framing: AttackCase = {
  name: "framing",
  trials: [
    ...byFraming,
    {
      name: "pipelined",
      holds: "200 requests in one write get 200 answers in their order",
      run: pipelined,
    },
    {
      name: "half open",
      holds:
        "Who closes his half after his request gets his answer or the end of the connection, and holds neither",
      run: async (site) => {
        const { url } = await site.api();
        const socket = await open(url);
        let text = "";
        socket.setEncoding("utf8").on("data", (chunk) => (text += String(chunk)));
        socket.end(`GET /v1/pools/${POOL} HTTP/1.1\r\nhost: localhost\r\n\r\n`);
        must(
          await Promise.race([closed(socket).then(() => true), sleep(5_000, false)]),
          "it is held after 5 s",
        );
        must([200, undefined].includes(statuses(text)[0]), `answered ${text.slice(0, 40)}`);
      },
    },
    {
      name: "a body cut short",
      holds: "A body that ends before its length is no job",
      run: async (site) => {
        const { url } = await site.api();
        const before = await site.installation.records.counts();
        const body = JSON.stringify({ pool: POOL, lane: LANE, prompt: "cut" });
        const socket = await open(url);
        socket.end(
          `POST /v1/jobs HTTP/1.1\r\nhost: localhost\r\n${JSON_TYPE}\r\ncontent-length: 900\r\n\r\n${body}`,
        );
        socket.resume();
        await closed(socket);
        const after = await site.installation.records.counts();
        must(after.waiting === before.waiting, "a job was made of half a body");
      },
    },
    {
      name: "headers without end",
      holds: "More than 16 KB of headers, or 3,000 of them, are refused",
      run: async (site) => {
        for (const base of [(await site.api()).url, (await site.board("local")).url]) {
          const long = await raw(
            base,
            `GET / HTTP/1.1\r\nhost: localhost\r\nx-a: ${"a".repeat(20_000)}\r\n\r\n`,
          );
          must(statuses(long)[0] === 431, `one long header: ${long.slice(0, 40)}`);
          const many = Array.from({ length: 3_000 }, (_, index) => `x-${index}: a\r\n`).join("");
          const answer = await raw(base, `GET /healthz HTTP/1.1\r\nhost: localhost\r\n${many}\r\n`);
          must((statuses(answer)[0] ?? 431) >= 200, `many headers: ${answer.slice(0, 40)}`);
        }
      },
    },
    {
      name: "expectations",
      holds: "An expectation that is none of HTTP's is refused, and one that is changes nothing",
      run: async (site) => {
        const { url } = await site.api();
        const head = `POST /v1/jobs HTTP/1.1\r\nhost: localhost\r\n${JSON_TYPE}\r\ncontent-length: 2\r\nexpect:`;
        const odd = statuses(await raw(url, `${head} 200-ok\r\n\r\n{}`));
        must(odd[0] === 417, `expect: 200-ok is answered ${odd.join(" ")}`);
        const usual = statuses(await raw(url, `${head} 100-continue\r\n\r\n{}`));
        must(usual.join(" ") === "100 400", `expect: 100-continue is answered ${usual.join(" ")}`);
      },
    },
    {
      name: "ranges",
      holds: "A thousand ranges of one file make no long answer",
      run: async (site) => {
        const { url } = await site.board("local");
        const ranges = Array.from({ length: 1_000 }, (_, index) => `${index}-`).join(",");
        const range = `range: bytes=${ranges}`;
        for (const path of ["/static/favicon.ico", "/dead-letters/page.css", "/"]) {
          const text = await raw(
            url,
            `GET ${path} HTTP/1.1\r\nhost: localhost\r\n${range}\r\nconnection: close\r\n\r\n`,
          );
          must(text.length < 1_000_000, `${path}: ${text.length} bytes`);
        }
      },
    },
  ],
};
