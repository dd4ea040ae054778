/** Texts of strangers on the board's pages: shown, never run. */
import { must, type Attack, type AttackCase } from "../attack.ts";
import { ask } from "../http.ts";
import type { Site } from "../site.ts";

const CLASS = "ScriptException";

/** Each ends another piece of a page: a text, an attribute, a title, a script, JSON in a script. */
const SCRIPTS = [
  "<script>alert(1)</script>",
  `"><img src=x onerror=alert(1)>`,
  "'><svg onload=alert(1)>",
  "</title><script>alert(1)</script>",
  "</script><script>alert(1)</script>",
  "</textarea><script>alert(1)</script>",
  "$&$`$'<script>alert(1)</script>",
  "\u202e\u0000<script>alert(1)</script>",
];

/** What would run, as HTML has it. */
const RUNS = /<script>alert|<img src=x|<svg onload/i;

async function pagesOf(site: Site, script: string): Promise<[string, Record<string, string>][]> {
  const request = {
    messages: [{ role: "user", content: [{ text: script }] }],
    system: script,
    maxTokens: 10,
  };
  const id = await site.dead({ errorClass: CLASS, message: script, request });
  await site.letters.note(id, { by: script, note: script });
  const parked = await site.dead({ errorClass: CLASS, message: script });
  await site.letters.park(parked, { by: script, note: script });
  const odd = encodeURIComponent(script);
  const admin = { authorization: site.login("admin") };
  return [
    [`/dead-letters/letter/${id}`, admin],
    [`/dead-letters/letter/${id}?prompt=full`, admin],
    [`/dead-letters/letter/${parked}`, admin],
    [`/dead-letters/letter/${odd}`, admin],
    [`/dead-letters?class=${CLASS}`, admin],
    [`/dead-letters?class=${odd}`, admin],
    [`/dead-letters?text=${odd}`, admin],
    [`/dead-letters?pool=${odd}&lane=${odd}&tenant=${odd}`, admin],
    [`/dead-letters?from=${odd}&until=${odd}`, admin],
    [`/dead-letters?state=${odd}`, admin],
    [`/dead-letters?cursor=${odd}`, admin],
    [`/dead-letters?id=${odd}`, admin],
    [`/dead-letters/replays/${odd}`, admin],
    [`/dead-letters/${odd}`, admin],
    [`/queue/${odd}`, admin],
    [`/?${odd}`, admin],
    [`/static/${odd}`, admin],
  ];
}

const byScript = SCRIPTS.map((script, index): Attack => ({
  name: `text ${index + 1}`,
  holds: `On 17 pages ${JSON.stringify(script)} is text`,
  run: async (site) => {
    const { url } = await site.board("basic");
    for (const [path, headers] of await pagesOf(site, script)) {
      const reply = await ask(url, path, { headers });
      must(reply.status < 500 && reply.status > 0, `${path}: ${reply.status} ${reply.text.slice(0, 100)}`);
      const isHtml = String(reply.headers["content-type"]).includes("html");
      must(!isHtml || !RUNS.test(reply.text), `${path} runs it`);
      const policy = String(reply.headers["content-security-policy"]);
      must(policy.includes("script-src 'self'"), `${path} has no policy against scripts`);
      must(reply.headers["x-content-type-options"] === "nosniff", `${path} may be sniffed`);
    }
  },
}));

export const script: AttackCase = {
  name: "script",
  trials: [
    ...byScript,
    {
      name: "user's name",
      holds: "The name of a user, as a proxy writes it, is text on every page",
      run: async (site) => {
        const { url } = await site.board("proxy");
        for (const name of SCRIPTS.filter((each) => /^[\x20-\x7e]*$/.test(each))) {
          for (const path of ["/", "/dead-letters", "/dead-letters/replays", "/pools"]) {
            const reply = await ask(url, path, { headers: site.proxied(name, "root") });
            must(reply.status === 200 && !RUNS.test(reply.text), `${path} for ${name}: ${reply.status}`);
          }
        }
      },
    },
    {
      name: "path of the API",
      holds: "A path that is none is answered as JSON, not as a page",
      run: async (site) => {
        const { url } = await site.api();
        for (const text of SCRIPTS) {
          for (const path of [`/${encodeURIComponent(text)}`, `/v1/jobs/${encodeURIComponent(text)}`]) {
            const reply = await ask(url, path);
            must(
              String(reply.headers["content-type"]).startsWith("application/json"),
              `${path} is ${reply.headers["content-type"]}`,
            );
          }
        }
      },
    },
  ],
};
