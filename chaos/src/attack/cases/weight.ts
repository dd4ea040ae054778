/** Requests that are small on the wire and large in memory, or costly to read. */
import { readFileSync } from "node:fs";
import { brotliCompressSync, constants, deflateSync, gzipSync } from "node:zlib";
import { must, mustAnswer, type Attack, type AttackCase } from "../attack.ts";
import { ask, askJson } from "../http.ts";
import { LANE, POOL } from "../pools.ts";
import type { Running } from "../site.ts";

const MB = 1024 * 1024;
const ZEROS = Buffer.alloc(256 * MB, " ");

/** Made when they are first needed: 256 MB each. */
const BOMBS: Readonly<Record<string, () => Buffer>> = {
  gzip: () => gzipSync(ZEROS, { level: 1 }),
  deflate: () => deflateSync(ZEROS, { level: 1 }),
  br: () => brotliCompressSync(ZEROS, { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } }),
};

/** Most memory that a process has had, MB. */
function peakOf({ process }: Running): number {
  const [, kb = "0"] = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${process.pid}/status`, "utf8")) ?? [];
  return Number(kb) / 1024;
}

/** Six bombs of 256 MB may not cost even one of them. */
const MOST_GROWTH_MB = 200;

async function throwBombs(
  target: Running,
  paths: readonly [method: string, path: string][],
  bomb: Buffer,
  encoding: string,
) {
  const before = peakOf(target);
  for (const [method, path] of paths) {
    const headers = { "content-type": "application/json", "content-encoding": encoding };
    const replies = await Promise.all(
      Array.from({ length: 6 }, async () => ask(target.url, path, { method, headers, body: bomb })),
    );
    for (const reply of replies) mustAnswer(reply, [413, 404, 405, 0], `${method} ${path}`);
  }
  const grown = peakOf(target) - before;
  must(grown < MOST_GROWTH_MB, `it grew by ${Math.round(grown)} MB`);
  mustAnswer(await ask(target.url, "/healthz"), [200], "afterwards");
}

const byEncoding = Object.entries(BOMBS).map(([encoding, make]): Attack => ({
  name: `${encoding} bomb`,
  holds: `Six bodies of 256 MB each, small as ${encoding}, are refused by API and board and take no memory`,
  run: async (site) => {
    const bomb = make();
    await throwBombs(await site.api(), [["POST", "/v1/jobs"]], bomb, encoding);
    const queue = "/api/queues/dead-letter.ValidationException";
    const paths: [string, string][] = [
      ["PATCH", `${queue}/x/update-data`],
      ["POST", `${queue}/add`],
    ];
    await throwBombs(await site.board("local"), paths, bomb, encoding);
  },
}));

export const weight: AttackCase = {
  name: "weight",
  trials: [
    ...byEncoding,
    {
      name: "encodings of encodings",
      holds: "An encoding within an encoding, and one that nobody knows, are refused",
      run: async (site) => {
        const { url } = await site.api();
        const body = gzipSync(gzipSync("{}"));
        for (const encoding of ["gzip, gzip", "gzip,deflate", "zstd", "compress", "x"]) {
          const headers = { "content-type": "application/json", "content-encoding": encoding };
          mustAnswer(await ask(url, "/v1/jobs", { method: "POST", headers, body }), [400, 415], encoding);
        }
      },
    },
    {
      name: "large bodies",
      holds: "A body of 40 MB is refused before it was read",
      run: async (site) => {
        const { url } = await site.api();
        const headers = { "content-type": "application/json" };
        const reply = await ask(url, "/v1/jobs", {
          method: "POST",
          headers,
          body: Buffer.alloc(40 * MB, "1"),
        });
        mustAnswer(reply, [413, 0], "40 MB");
      },
    },
    {
      name: "a million values",
      holds: "A body of a million small values is answered within 5 s, and the next at once",
      run: async (site) => {
        const { url } = await site.api();
        const values = Array.from({ length: 1_000_000 }, () => 1);
        const body = { pool: POOL, lane: LANE, kind: "invoke", maxTokens: 1, body: { values } };
        const from = performance.now();
        const reply = await askJson(url, "/v1/jobs", body);
        mustAnswer(reply, [400, 413], "a million values");
        mustAnswer(await ask(url, "/healthz"), [200], "afterwards");
        const took = performance.now() - from;
        must(took < 5_000, `it took ${Math.round(took)} ms`);
      },
    },
    {
      name: "bodies of reads",
      holds:
        "A body that comes with a read costs nothing: three megabytes of brackets or fields are answered within 2 s",
      run: async (site) => {
        const { url } = await site.board("local");
        const bodies: [string, string][] = [
          ["application/json", "[".repeat(3 * MB)],
          ["application/x-www-form-urlencoded", "a=b&".repeat(MB)],
        ];
        for (const [type, body] of bodies) {
          for (const path of ["/api/queues", "/dead-letters"]) {
            const from = performance.now();
            const reply = await ask(url, path, { headers: { "content-type": type }, body });
            // Bull Board has a parser of its own, which takes no more than 100 KB.
            mustAnswer(reply, [200, 413, 0], `GET ${path} with ${body.length} bytes of ${type}`);
            const took = Math.round(performance.now() - from);
            must(took < 2_000, `GET ${path} took ${took} ms`);
          }
        }
      },
    },
    {
      name: "forms",
      holds: "A form of a million fields is refused",
      run: async (site) => {
        const { url } = await site.board("local");
        const headers = { "content-type": "application/x-www-form-urlencoded" };
        for (const body of ["a=&".repeat(MB), `letter=${"&letter=".repeat(5_000)}`]) {
          const reply = await ask(url, "/dead-letters/replays", { method: "POST", headers, body });
          mustAnswer(reply, [400, 413], `${body.length} bytes`);
        }
      },
    },
  ],
};
