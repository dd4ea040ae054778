/** Names in paths and queries: what is none is not there, and no name means another thing than itself. */
import { must, mustAnswer, type AttackCase } from "../attack.ts";
import { ask } from "../http.ts";
import { POOL } from "../pools.ts";
import type { Site } from "../site.ts";

/** What some program behind could take for a pattern, a path, another name, or the end of one. */
const ODD = [
  "*",
  "%3F",
  "[a-z]*",
  "%2A",
  "%00",
  `${POOL}%00`,
  "..%2f..%2fetc%2fpasswd",
  "%2e%2e",
  "%252e%252e",
  "%0d%0aset-cookie:%20a=b",
  "%0a{}",
  "__proto__",
  "constructor",
  "toString",
  "%7Bmain%7D",
  "claude:standard",
  "claude.*.01arz3ndektsv4rrffq69g5fav",
  "claude.standard.01arz3ndektsv4rrffq69g5fav.r0",
  "claude.standard.01arz3ndektsv4rrffq69g5fav.r999999999",
  "claude.standard.81arz3ndektsv4rrffq69g5fav",
  "CLAUDE.STANDARD.01ARZ3NDEKTSV4RRFFQ69G5FAV",
  "constructor.prototype.01arz3ndektsv4rrffq69g5fav",
  "%F0%9F%92%A9",
  "a".repeat(10_000),
  "%E0%A4%A",
  "%",
  "%ff",
];

/** Asks for each; nothing may be found, nothing may fail, and no header may be injected. */
async function askOdd(
  base: string,
  paths: (name: string) => string[],
  found: readonly number[],
): Promise<void> {
  for (const name of ODD) {
    for (const path of paths(name)) {
      const [method = "GET", target = ""] = path.split(" ");
      const reply = await ask(base, target, { method });
      mustAnswer(reply, found, path.slice(0, 100));
      must(reply.headers["set-cookie"] === undefined, `${path}: a header was injected`);
    }
  }
}

const apiPaths = (name: string): string[] => [
  `GET /v1/jobs/${name}`,
  `GET /v1/jobs/${name}/stream`,
  `GET /v1/jobs/${name}/explain`,
  `POST /v1/jobs/${name}/cancel`,
  `GET /v1/pools/${name}`,
];

const boardPaths = (name: string): string[] => [
  `GET /api/queues/${name}/1`,
  `GET /api/queues/claude.standard/${name}`,
  `PUT /api/queues/dead-letter.ValidationException/${name}/retry`,
  `GET /dead-letters/letter/${name}`,
  `POST /dead-letters/letter/${name}/note`,
  `GET /dead-letters/replays/${name}`,
];

/** Queries as no form would send them. */
const QUERIES = [
  "id=a&id=b",
  "id[]=a",
  "id[a]=b",
  "cursor=x",
  "cursor=a&cursor=b",
  `cursor=${Buffer.from('{"at":"*","__proto__":1}').toString("base64url")}`,
  "class=a&class=b",
  "class=__proto__",
  "class=constructor",
  "pool=constructor",
  "pool=constructor&lane=constructor",
  "lane=toString",
  "tenant=*",
  "tenant=a&tenant=b",
  "text=a&text=b",
  "state=dead&state=dead&state=dead",
  "state=__proto__",
  `text=${"(a%2B)%2B%24".repeat(10)}`,
  `text=${"a".repeat(5_000)}`,
  "from=x",
  "from=9999-99-99T99:99",
  "from=2026-01-01T00:00&from=2026-01-01T00:00",
  "until=-1",
  "__proto__[state]=dead",
  "__proto__=x",
  "constructor[prototype][x]=1",
  "a[__proto__]=1",
  "%00=%00",
  "%=%",
  "&&&&=&=",
];

async function errorsOf(site: Site): Promise<number> {
  const { process } = await site.board("local");
  return process.lines.filter(({ msg }) => msg === "board:error").length;
}

export const names: AttackCase = {
  name: "names",
  trials: [
    {
      name: "of the API",
      holds: "Jobs and pools by 27 names that are none are 400 or 404, with every verb",
      run: async (site) => {
        await askOdd((await site.api()).url, apiPaths, [400, 404]);
      },
    },
    {
      name: "of the board",
      holds:
        "Queues, letters and runs by names that are none are the caller's mistake, and no error of the board",
      run: async (site) => {
        const before = await errorsOf(site);
        await askOdd((await site.board("local")).url, boardPaths, [400, 404, 405]);
        const errors = (await errorsOf(site)) - before;
        must(errors === 0, `the board has logged ${errors} errors`);
      },
    },
    {
      name: "of queries",
      holds:
        "A search by fields that are doubled, lists, objects or none is answered or refused, and no error of the board",
      run: async (site) => {
        const { url } = await site.board("local");
        const before = await errorsOf(site);
        for (const query of QUERIES) {
          const from = performance.now();
          const reply = await ask(url, `/dead-letters?${query}`);
          mustAnswer(reply, [200, 303, 400], query);
          must(performance.now() - from < 3_000, `${query} took ${Math.round(performance.now() - from)} ms`);
        }
        const errors = (await errorsOf(site)) - before;
        must(errors === 0, `the board has logged ${errors} errors`);
      },
    },
    {
      name: "of Bull Board's queries",
      holds: "Bull Board's lists by fields that are doubled, lists or none are answered or refused",
      run: async (site) => {
        const { url } = await site.board("local");
        const odd = [
          "status=x",
          "status=latest&status=failed",
          "status[]=failed",
          "page=x",
          "page=1&page=2",
          "page=1e309",
        ];
        const queues = [
          "activeQueue=__proto__",
          "activeQueue=a&activeQueue=b",
          "activeQueue[]=claude.standard",
        ];
        for (const query of [...odd.map((each) => `activeQueue=claude.standard&${each}`), ...queues]) {
          mustAnswer(await ask(url, `/api/queues?${query}`), [200, 400, 404], query);
        }
      },
    },
    {
      name: "of other sites",
      holds: "No form and no path of the board leads to another site",
      run: async (site) => {
        const { url } = await site.board("local");
        const host = new URL(url).host;
        const tries = [
          "//evil.example/..",
          "//evil.example/%2e%2e",
          "/\\evil.example",
          "/static/%2f%2fevil.example",
          "//evil.example/static",
          "/dead-letters?id=//evil.example",
          "/dead-letters?id=https://evil.example/",
          "/dead-letters?id=%0d%0alocation:%20//evil.example",
          "/dead-letters?id=\\\\evil.example",
          "/dead-letters?id=..%2f..%2f..%2f%2fevil.example",
          "/static//evil.example/%2e%2e",
          "/static",
        ];
        for (const path of tries) {
          const { headers } = await ask(url, path);
          if (headers.location === undefined) continue;
          const to = new URL(headers.location, `${url}${path.startsWith("//") ? "" : path}`);
          must(to.host === host, `${path} leads to ${headers.location}`);
        }
        const form = { "content-type": "application/x-www-form-urlencoded" };
        for (const run of ["%2f%2fevil.example", "..%2f..%2f..%2fevil", "%0d%0aa"]) {
          const path = `/dead-letters/replays/${run}/stop`;
          const { headers } = await ask(url, path, { method: "POST", headers: form });
          must(new URL(headers.location ?? url, url).host === host, `${path} leads to ${headers.location}`);
        }
      },
    },
    {
      name: "of files",
      holds: "No path of the board leads to a file that is not a page's",
      run: async (site) => {
        const { url } = await site.board("local");
        const up = ["..", "%2e%2e", "..%2f..", "..%5c..", "%252e%252e", ".%2e"];
        for (const folder of [
          "/static",
          "/dead-letters",
          "/pools",
          "/static/locales",
          "/static/locales/en-US",
        ]) {
          for (const step of up) {
            for (const file of ["package.json", "src/main.ts", "etc/passwd", "proc/self/environ"]) {
              const path = `${folder}/${`${step}/`.repeat(6)}${file}`;
              const { text } = await ask(url, path);
              must(!/"dependencies"|root:|leaveOnSignal|SLUICE_/.test(text), `${path} is read`);
            }
          }
        }
        for (const language of ["%00", "..%2f..%2fpackage", "__proto__", "constructor", "*"]) {
          const reply = await ask(url, `/static/locales/${language}/messages.json`);
          must(reply.status > 0 && reply.status < 500, `language ${language}: ${reply.status}`);
        }
      },
    },
    {
      name: "of tables",
      holds: "A class, a pool or a quota by the name of what every object has is none",
      run: async (site) => {
        const { url } = await site.board("local");
        for (const errorClass of ["constructor", "toString", "valueOf"]) {
          const id = await site.dead({ errorClass, message: errorClass });
          for (const path of [`/dead-letters/letter/${id}`, `/dead-letters?class=${errorClass}`]) {
            const reply = await ask(url, path);
            mustAnswer(reply, [200], path);
            must(!reply.text.includes("[native code]"), `${path} shows a function`);
          }
          await site.letters.purge(id, { revision: await site.revision(id) });
        }
        const commands = [
          ["quota", "show", "constructor"],
          ["quota", "set", POOL, "constructor=5"],
          ["quota", "set", POOL, "__proto__=5"],
          ["breaker", "constructor", "open"],
          ["breaker", POOL, "constructor"],
        ];
        const ran = await Promise.all(commands.map(async (command) => site.cli(command)));
        ran.forEach(({ code, text }, index) => {
          const command = commands[index]?.join(" ");
          must(code !== 0, `sluice ${command} is done`);
          must(
            /Expected|Allowed choices|There is no pool/.test(text),
            `sluice ${command} says ${text.slice(0, 200)}`,
          );
        });
      },
    },
  ],
};
