/** Passwords and prompts in what a program prints, however it fails. */
import { setTimeout as sleep } from "node:timers/promises";
import { must, type AttackCase } from "../attack.ts";
import { ask, askJson, basic } from "../http.ts";
import type { Started } from "../../process.ts";
import { LANE, POOL } from "../pools.ts";
import { PROGRAMS } from "../../programs.ts";
import type { Site } from "../site.ts";

/** Looks for every canary in a text. */
function mustNotTell(site: Site, what: string, text: string): void {
  for (const [name, canary] of site.canaries) {
    const at = text.indexOf(canary);
    must(
      at === -1,
      `${what} prints the canary '${name}': ${JSON.stringify(text.slice(Math.max(0, at - 150), at + 60))}`,
    );
  }
}

/** Starts each program with an environment that is wrong in one place, and waits until it has said what it has to say. */
async function started(site: Site, env: Readonly<Record<string, string>>): Promise<void> {
  await Promise.all(
    (["api", "board", "worker"] as const).map(async (program) => {
      const text = await site.briefly(PROGRAMS[program], env);
      mustNotTell(site, `the ${program}`, text);
      must(text !== "", `the ${program} prints nothing, so this proves nothing`);
    }),
  );
  const told = await site.cli(["quota", "show", POOL], env);
  mustNotTell(site, "sluice quota", told.text);
}

/** One program, or the CLI. */
async function tell(
  site: Site,
  program: URL | undefined,
  env: Readonly<Record<string, string>>,
): Promise<void> {
  const text =
    program === undefined
      ? (await site.cli(["quota", "show", POOL], env)).text
      : await site.briefly(program, env);
  mustNotTell(site, "it", text);
  must(text !== "", `it prints nothing of ${JSON.stringify(Object.keys(env))}, so this proves nothing`);
}

/** A REDIS_URL with a password that has the signs people put into passwords. */
function redisUrls(site: Site): Record<string, string> {
  const { host } = new URL(site.services.redisUrl);
  const password = site.canary("redis-password");
  return {
    "a wrong password": `redis://:${password}@${host}`,
    "a user and a wrong password": `redis://somebody:${password}@${host}`,
    "a password in the query": `redis://${host}?password=${password}`,
    "a password with signs": `redis://:p@ss/${password}@${host}`,
    "a percent sign that is none": `redis://:%zz${password}@${host}`,
    "a port that is none": `redis://:${password}@127.0.0.1:99999`,
    "a scheme that is none": `http://:${password}@${host}`,
    "a server that is none": `redis://:${password}@127.0.0.1:1`,
    "TLS with one that has none": `rediss://:${password}@${host}`,
  };
}

/** Prompts with a canary, sent in every way in which a request can fail at Redis. */
async function sendCanaries(site: Site, api: string, canary: string): Promise<void> {
  const job = { pool: POOL, lane: LANE };
  await Promise.all([
    askJson(api, "/v1/jobs", { ...job, prompt: canary }),
    askJson(api, "/v1/jobs", { ...job, prompt: canary, idempotencyKey: canary }),
    askJson(api, "/v1/jobs", { ...job, kind: "invoke", maxTokens: 1, body: { [canary]: canary } }),
    ask(api, "/v1/jobs", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: `{"prompt":"${canary}`,
    }),
    ask(api, `/v1/jobs/${canary}?text=${canary}`),
  ]);
}

/** Makes Redis ill in one way, and well again. */
const ILLNESSES: Readonly<
  Record<string, { readonly ill: readonly string[]; readonly well: readonly string[] }>
> = {
  "a full Redis": { ill: ["CONFIG", "SET", "maxmemory", "1"], well: ["CONFIG", "SET", "maxmemory", "0"] },
  "a Redis without room for replicas": {
    ill: ["CONFIG", "SET", "min-replicas-to-write", "3"],
    well: ["CONFIG", "SET", "min-replicas-to-write", "0"],
  },
  "a read-only Redis": { ill: ["REPLICAOF", "127.0.0.1", "1"], well: ["REPLICAOF", "NO", "ONE"] },
  "a user who may not": {
    ill: ["ACL", "SETUSER", "default", "-@scripting", "-hset", "-xadd"],
    well: ["ACL", "SETUSER", "default", "+@all"],
  },
};

async function withIllness(
  site: Site,
  { ill, well }: { readonly ill: readonly string[]; readonly well: readonly string[] },
  work: () => Promise<void>,
): Promise<void> {
  const call = async ([command = "", ...args]: readonly string[]): Promise<unknown> =>
    site.redis.call(command, ...args);
  await call(ill);
  try {
    await work();
  } finally {
    await call(well);
  }
}

const illnesses = Object.entries(ILLNESSES).map(([name, illness]) => ({
  name,
  holds: `With ${name}, neither API nor board prints or answers a prompt`,
  run: async (site: Site) => {
    const { url, process } = await site.api();
    const canary = site.canary("prompt-at-redis");
    await withIllness(site, illness, async () => sendCanaries(site, url, canary));
    mustNotTell(site, "the API", process.text);
  },
}));

export const secrets: AttackCase = {
  name: "secrets",
  trials: [
    {
      name: "passwords of Redis",
      holds: "Nine wrong REDIS_URLs are told by API, board, worker and CLI without their password",
      run: async (site) => {
        // Each way is told by one program; the usual one, by all.
        const [usual = "", ...others] = Object.values(redisUrls(site));
        await started(site, { REDIS_URL: usual });
        const programs = [PROGRAMS.api, PROGRAMS.board, PROGRAMS.worker, undefined];
        for (let at = 0; at < others.length; at += 2) {
          await Promise.all(
            others
              .slice(at, at + 2)
              .map(async (url, place) => tell(site, programs[(at + place) % 4], { REDIS_URL: url })),
          );
        }
      },
    },
    {
      name: "other variables",
      holds: "Keys, hashes and secrets of a wrong environment are not printed",
      run: async (site) => {
        const canary = site.canary("variable");
        const wrong: Readonly<Record<string, string>>[] = [
          { AWS_SECRET_ACCESS_KEY: canary, AWS_ENDPOINT_URL_DYNAMODB: "http://127.0.0.1:1" },
          { AWS_ENDPOINT_URL_DYNAMODB: `http://user:${canary}@127.0.0.1:1` },
          {
            SLUICE_BOARD_USERS: `olga:admin:${canary}`,
            SLUICE_POOLS: `/none/secret=${canary}?password=${canary}`,
          },
          {
            SLUICE_BOARD_PROXY_PEERS: "127.0.0.1",
            SLUICE_BOARD_PROXY_SECRET: canary.slice(0, 20),
            PORT: "x",
          },
        ];
        for (const env of wrong) {
          const text = await site.briefly(PROGRAMS.board, env);
          // A path is no secret; what stands in its query may be.
          mustNotTell(site, "the board", text.replaceAll(`/none/secret=${canary}`, ""));
        }
      },
    },
    ...illnesses,
    {
      name: "keys of another type",
      holds: "A key that holds what it should not makes an error without the prompt",
      run: async (site) => {
        const own = await site.start("api", { SLUICE_NAMESPACE: "odd-keys" });
        const canary = site.canary("odd-keys");
        for (const lane of ["standard"]) {
          for (const part of ["meta", "id", "prioritized", "events", "marker", "pc", "wait"]) {
            await site.redis.set(`odd-keys:{main}:${POOL}.${lane}:${part}`, "x");
          }
        }
        await site.redis.set("odd-keys:{main}:claim:default", canary);
        await sendCanaries(site, own.url, canary);
        mustNotTell(site, "the API", own.process.text);
      },
    },
    {
      name: "bodies of the board",
      holds: "A body that cannot be read is neither printed nor answered, and neither is a password",
      run: async (site) => {
        const canary = site.canary("board-body");
        for (const mode of ["local", "basic"] as const) {
          const { url, process } = await site.board(mode);
          const auth = { authorization: site.login("admin") };
          const path = "/api/queues/dead-letter.ValidationException/x/update-data";
          const json = { "content-type": "application/json", ...auth };
          const form = { "content-type": "application/x-www-form-urlencoded", ...auth };
          const replies = [
            await ask(url, path, { method: "PATCH", headers: json, body: `{"prompt":"${canary}` }),
            await ask(url, path, { method: "PATCH", headers: json, body: `{"jobData":{"${canary}":1}}` }),
            await ask(url, "/dead-letters/letter/x/edit", {
              method: "POST",
              headers: form,
              body: `request=${canary}`,
            }),
            await ask(url, "/dead-letters/letter/x/note", {
              method: "POST",
              headers: form,
              body: `note=${canary}`,
            }),
            await ask(url, "/api/queues", { headers: { authorization: basic(canary, canary) } }),
          ];
          for (const reply of replies)
            must(!reply.text.includes(canary), `it is answered: ${reply.text.slice(0, 200)}`);
          mustNotTell(site, `the board (${mode})`, process.text);
        }
      },
    },
    {
      name: "lines in names",
      holds: "No path, name or header makes a line of its own in a log",
      run: async (site) => {
        const { url, process } = await site.board("proxy");
        const fake = '"}%0a{"level":"info","msg":"board:audit","user":"forged-by-a-path"}';
        for (const path of [`/dead-letters/letter/${fake}/note`, `/x${fake}`]) {
          await ask(url, path.replaceAll('"', "%22"), {
            method: "POST",
            headers: site.proxied('x"}\\n{"user":"y', "root"),
          });
        }
        await sleep(100);
        must(!process.lines.some((line) => line["user"] === "forged-by-a-path"), "a line was forged");
        must(process.text.trim().split("\n").every(isJson), "a line is no JSON");
      },
    },
    {
      name: "a worker's log",
      holds:
        "At LOG_LEVEL=trace neither worker nor API print prompts, answers, keys or bodies, whatever the model does",
      run: async (site) => {
        const { api, worker } = await site.fleet();
        const canary = site.canary("worker-prompt");
        const faults = [
          "",
          "[[sim:ValidationException]]",
          "[[sim:ThrottlingException*1]]",
          "[[sim:AccessDeniedException*1]]",
          "[[sim:reset@mid*1]]",
          "[[sim:InternalServerException*1]]",
        ];
        const bodies = faults.flatMap((fault) => [
          { prompt: `${canary} ${fault}`, maxTokens: 5 },
          { kind: "stream", prompt: `${canary} ${fault}`, maxTokens: 5 },
          { kind: "invoke", maxTokens: 5, body: { [canary]: `${canary} ${fault}` } },
        ]);
        await Promise.all(
          bodies.map(async (body) => askJson(api, "/v1/jobs", { pool: POOL, lane: LANE, ...body })),
        );
        await ended(worker, bodies.length);
        mustNotTell(site, "the worker", worker.text);
      },
    },
  ],
};

function isJson(line: string): boolean {
  try {
    JSON.parse(line);
    return true;
  } catch {
    return false;
  }
}

function isEnd(msg: string): boolean {
  return /^job:(completed|dead|filtered|retry)$/.test(msg);
}

/** Waits until so many jobs have ended or were put off at least. */
async function ended({ lines }: Started, count: number): Promise<void> {
  const until = performance.now() + 20_000;
  while (lines.filter(({ msg }) => isEnd(msg)).length < count && performance.now() < until) await sleep(50);
}

/** The last of all: nothing that was planted anywhere was printed by anybody. */
export const logs: AttackCase = {
  name: "logs",
  trials: [
    {
      name: "everything printed",
      holds: "No canary of any attack is in anything that any program has printed",
      run: async (site) => {
        // Those are shown to whoever asked for them in his terminal.
        for (const text of site.printed) mustNotTell(site, "a program", text);
        must(site.canaries.size > 1, "nothing was planted");
      },
    },
  ],
};
