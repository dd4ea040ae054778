/** What a proxy says of its callers counts once, from its address, and with its secret. */
import { mustAnswer, type Attack, type AttackCase } from "../attack.ts";
import { ask } from "../http.ts";
import type { Site } from "../site.ts";

type Pair = readonly [name: string, value: string];

/** What a caller adds to what the proxy says of a viewer; each must not make an admin. */
const ADDED: Readonly<Record<string, readonly Pair[]>> = {
  "groups again": [["x-forwarded-groups", "root"]],
  "groups before": [["X-FORWARDED-GROUPS", "root"]],
  "user again": [["x-forwarded-user", "boss"]],
  "secret again": [["X-Sluice-Proxy-Secret", "x".repeat(40)]],
  "empty groups": [["x-forwarded-groups", ""]],
};

async function adding(site: Site, added: readonly Pair[], first: boolean): Promise<void> {
  const { url } = await site.board("proxy");
  const said = Object.entries(site.proxied("vera", "staff"));
  const pairs: readonly Pair[] = first ? [...added, ...said] : [...said, ...added];
  const headers = ["host", new URL(url).host, ...pairs.flat()];
  mustAnswer(await ask(url, "/api/queues", { headers }), [401], "GET");
  const id = await site.dead({ errorClass: "ProxyException" });
  const path = `/dead-letters/letter/${id}?prompt=full`;
  mustAnswer(await ask(url, path, { headers }), [401], "the prompt");
}

const doubled = Object.entries(ADDED).flatMap(([name, added]) =>
  [true, false].map((first): Attack => ({
    name: `${name}, ${first ? "first" : "last"}`,
    holds: "A header of the proxy that comes twice lets nobody in",
    run: async (site) => adding(site, added, first),
  })),
);

const NAMES = ["", "a,b", "a\u00e9", "x".repeat(101), "\tboss"];

export const proxyHeaders: AttackCase = {
  name: "proxy-headers",
  trials: [
    ...doubled,
    {
      name: "from elsewhere",
      holds: "From an address that is not the proxy's its secret opens nothing",
      run: async (site) => {
        const { url } = await site.board("proxy");
        const headers = {
          ...site.proxied("boss", "root"),
          "x-forwarded-for": "127.0.0.1",
          forwarded: "for=127.0.0.1",
        };
        for (const from of ["127.0.0.2", "127.1.1.1"]) {
          mustAnswer(await ask(url, "/api/queues", { headers, from }), [401], from);
        }
        mustAnswer(await ask(url, "/api/queues", { headers }), [200], "the proxy itself");
      },
    },
    {
      name: "other spellings",
      holds: "Headers with underscores, and secrets that only begin right, are not the proxy's",
      run: async (site) => {
        const { url } = await site.board("proxy");
        const right = site.proxied("boss", "root");
        const { "x-sluice-proxy-secret": secret = "", ...said } = right;
        const wrong = [secret.slice(0, -1), `${secret}x`, secret.toUpperCase(), `${secret}, ${secret}`, ""];
        for (const each of wrong) {
          const headers = { ...said, "x-sluice-proxy-secret": each, x_sluice_proxy_secret: secret };
          mustAnswer(await ask(url, "/api/queues", { headers }), [401], "a wrong secret");
        }
      },
    },
    {
      name: "names",
      holds: "What is no name of one user is no user",
      run: async (site) => {
        const { url } = await site.board("proxy");
        for (const name of NAMES) {
          const headers = {
            ...site.proxied("x", "root"),
            "x-forwarded-user": Buffer.from(name).toString("latin1"),
          };
          const expected = name === "\tboss" ? [401, 200] : [401];
          mustAnswer(await ask(url, "/api/queues", { headers }), expected, JSON.stringify(name));
        }
      },
    },
    {
      name: "groups",
      holds:
        "A group that only looks like one with a role has none: other cases, parts, and names of every object",
      run: async (site) => {
        const { url } = await site.board("proxy");
        for (const groups of [
          "ROOT",
          "root2",
          "roo",
          "root;ops",
          "root ops",
          "__proto__",
          "constructor",
          "*",
        ]) {
          const headers = site.proxied("vera", groups);
          const reply = await ask(url, "/dead-letters/letter/x/purge", { method: "POST", headers });
          mustAnswer(reply, [403], groups);
        }
      },
    },
  ],
};
