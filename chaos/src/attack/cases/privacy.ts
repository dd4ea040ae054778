/** What a request says stays with its caller: not for viewers, caches, the next reader of Redis, or other users. */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { must, mustAnswer, type AttackCase } from "../attack.ts";
import { ask, askJson } from "../http.ts";
import { LANE, OUTPUT, POOL } from "../pools.ts";
import type { Site } from "../site.ts";

const CLASS = "PrivacyException";

/** Every text that Redis has under these keys. */
async function everythingIn(site: Site, namespace: string): Promise<Map<string, string>> {
  const all = new Map<string, string>();
  for await (const keys of site.redis.scanStream({ match: `${namespace}:*`, count: 1_000 })) {
    if (!Array.isArray(keys)) continue;
    await Promise.all(keys.map(async (key) => all.set(String(key), await contentOf(site, String(key)))));
  }
  return all;
}

const READS: Readonly<Record<string, (key: string) => [string, ...string[]]>> = {
  string: (key) => ["GET", key],
  hash: (key) => ["HGETALL", key],
  list: (key) => ["LRANGE", key, "0", "-1"],
  set: (key) => ["SMEMBERS", key],
  zset: (key) => ["ZRANGE", key, "0", "-1"],
  stream: (key) => ["XRANGE", key, "-", "+"],
};

async function contentOf(site: Site, key: string): Promise<string> {
  const read = READS[await site.redis.type(key)];
  if (read === undefined) return "";
  const [command, ...args] = read(key);
  return JSON.stringify(await site.redis.call(command, ...args));
}

/** What others than its owner may do with a file. */
async function modeOf(path: string): Promise<number> {
  return (await stat(path)).mode & 0o077;
}

/** Runs a job to its end. */
async function ran(api: string, body: object): Promise<string> {
  const posted = await askJson(api, "/v1/jobs", { pool: POOL, lane: LANE, ...body });
  mustAnswer(posted, [202], "the job");
  const id = /"id":"([^"]+)"/.exec(posted.text)?.[1] ?? "";
  const until = performance.now() + 30_000;
  while (!/"state":"(completed|filtered|dead|cancelled)"/.test((await ask(api, `/v1/jobs/${id}`)).text)) {
    must(performance.now() < until, `${id} has not ended`);
    await sleep(50);
  }
  return id;
}

export const privacy: AttackCase = {
  name: "privacy",
  trials: [
    {
      name: "requests of letters",
      holds: "A viewer sees no key, number, text or address of a request, of any kind, on any page",
      run: async (site) => {
        const { url } = await site.board("basic");
        const key = site.canary("key-of-body");
        const text = site.canary("text-of-body");
        const body = { [key]: { [text]: 8_675_309 }, image: `s3://${key}/x.png` };
        const asked = [
          ["invoke", { body, maxTokens: 3_141_592 }],
          ["async", { modelInput: body, outputS3Uri: `${OUTPUT}/${key}` }],
          [
            "converse",
            { messages: [{ role: "user", content: [{ text }] }], system: key, maxTokens: 3_141_592 },
          ],
        ] as const;
        const headers = { authorization: site.login("viewer") };
        for (const [kind, request] of asked) {
          const id = await site.dead({ kind, request, errorClass: CLASS });
          const queue = `/api/queues/dead-letter.${CLASS}`;
          const pages = [
            `/dead-letters/letter/${id}`,
            `${queue}/${id}`,
            `${queue}/${id}/logs`,
            `/dead-letters?class=${CLASS}`,
            `/api/queues?activeQueue=dead-letter.${CLASS}&status=failed&page=1&jobsPerPage=100`,
          ];
          for (const path of pages) {
            const reply = await ask(url, path, { headers });
            const leak = [key, text, "8675309", "3141592", "3,141,592"].find((each) =>
              reply.text.includes(each),
            );
            must(leak === undefined, `${path} of ${kind} shows ${leak}`);
          }
        }
      },
    },
    {
      name: "requests in lanes",
      holds: "Nobody sees the request of a job that waits, in a list or on its page",
      run: async (site) => {
        const text = site.canary("waiting-prompt");
        const id = await site.waits(text);
        for (const mode of ["open", "local"] as const) {
          const { url } = await site.board(mode);
          const paths = [
            `/api/queues/claude.${LANE}/${encodeURIComponent(id)}`,
            `/api/queues?activeQueue=claude.${LANE}&status=latest&page=1&jobsPerPage=300`,
          ];
          for (const path of paths) {
            await site.untilFound(url, path);
            const reply = await ask(url, path);
            mustAnswer(reply, [200], path);
            must(!reply.text.includes(text), `${path} shows it to ${mode}`);
          }
        }
      },
    },
    {
      name: "caches",
      holds: "No answer of API and board may be kept by a cache, errors and files included",
      run: async (site) => {
        const api = (await site.api()).url;
        const board = (await site.board("basic")).url;
        const headers = { authorization: site.login("viewer") };
        const id = await site.waits("not for caches");
        const asked: [string, string][] = [
          [api, `/v1/jobs/${id}`],
          [api, `/v1/jobs/${id}/explain`],
          [api, "/v1/jobs/none"],
          [api, "/none"],
          [api, "/%"],
          [api, `/v1/pools/${POOL}`],
          [board, "/api/queues"],
          [board, "/dead-letters"],
          [board, "/dead-letters?from=x"],
          [board, "/dead-letters/page.css"],
          [board, "/pools/now.json"],
          [board, "/"],
          [board, "/none"],
          [board, "/%"],
        ];
        for (const [base, path] of asked) {
          const reply = await ask(base, path, { headers });
          const control = String(reply.headers["cache-control"]);
          must(control.includes("no-store"), `${path}: ${reply.status} with cache-control ${control}`);
        }
        for (const path of ["/", "/api/queues"]) {
          const reply = await ask(board, path);
          must(String(reply.headers["cache-control"]).includes("no-store"), `${path} without a login`);
        }
      },
    },
    {
      name: "what is left in Redis",
      holds: "Once a job has ended, its prompt is nowhere in Redis",
      run: async (site) => {
        const { api, installation } = await site.fleet();
        const text = site.canary("ended-prompt");
        await ran(api, { prompt: text, maxTokens: 5, idempotencyKey: text });
        await ran(api, { kind: "invoke", maxTokens: 5, body: { prompt: text } });
        await ran(api, { prompt: `${text} [[sim:ValidationException]]`, maxTokens: 5 });
        const namespace = installation.env["SLUICE_NAMESPACE"] ?? "";
        const until = performance.now() + 15_000;
        for (;;) {
          const keys = [...(await everythingIn(site, namespace))].filter(([, content]) =>
            content.includes(text),
          );
          if (keys.length === 0) return;
          must(performance.now() < until, `it is in ${keys.map(([key]) => key).join(", ")}`);
          await sleep(200);
        }
      },
    },
    {
      name: "errors that quote",
      holds:
        "What a model's error quotes of the prompt is told to nobody: not in the letter, the job or the list",
      run: async (site) => {
        const { api, installation } = await site.fleet();
        const text = site.canary("quoted-prompt");
        const id = await ran(api, { prompt: `${text} [[sim:ValidationException]]`, maxTokens: 5 });
        const told = [await ask(api, `/v1/jobs/${id}`), await ask(api, `/v1/jobs/${id}/explain`)];
        must(
          told.every((reply) => !reply.text.includes(text)),
          "the API repeats it",
        );
        const listed = await site.cli(["dead-letters", "list", "--json"], installation.env);
        must(!listed.text.includes(text), "the CLI lists it");
      },
    },
    {
      name: "files of a run",
      holds: "No other user of the machine may enter the folder of a local run, or read a file in it",
      run: async ({ services }) => {
        must((await modeOf(services.runFolder)) === 0, "the run's folder is open");
        must((await modeOf(join(services.runFolder, ".."))) === 0, "the folder of all runs is open");
        for (const name of await readdir(services.runFolder, { recursive: true })) {
          const path = join(services.runFolder, name);
          const { isDirectory } = await stat(path).then((found) => ({ isDirectory: found.isDirectory() }));
          must(!isDirectory || (await modeOf(path)) === 0, `${name} is open`);
        }
      },
    },
  ],
};
