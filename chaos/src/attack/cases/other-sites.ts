/** What a page of another site makes a browser do: writes that its user never asked for, and names that lead here. */
import { must, mustAnswer, type AttackCase } from "../attack.ts";
import { ask, raw, statuses } from "../http.ts";
import { LANE, POOL } from "../pools.ts";
import type { Site } from "../site.ts";

/** As browsers mark what comes from elsewhere. */
const ELSEWHERE: readonly Readonly<Record<string, string>>[] = [
  { "sec-fetch-site": "cross-site" },
  { "sec-fetch-site": "same-site" },
  { "sec-fetch-site": "none" },
  { "sec-fetch-site": "cross-site", origin: "http://127.0.0.1" },
  { origin: "http://evil.example" },
  { origin: "null" },
  { origin: "" },
  { origin: "http://localhost.evil.example" },
];

/** What a form or a plain script may send without being asked. */
const SIMPLE_TYPES = [
  "application/x-www-form-urlencoded",
  "text/plain",
  "multipart/form-data; boundary=x",
  "",
];

async function formsOn(site: Site, mode: "local" | "basic"): Promise<void> {
  const { url } = await site.board(mode);
  const id = await site.dead({ errorClass: "ElsewhereException" });
  const before = await site.revision(id);
  const actions = ["note", "park", "purge", "replay", "edit"];
  for (const headers of ELSEWHERE) {
    for (const action of actions) {
      const reply = await ask(url, `/dead-letters/letter/${id}/${action}`, {
        method: "POST",
        headers: {
          ...headers,
          "content-type": "application/x-www-form-urlencoded",
          authorization: site.login("admin"),
        },
        body: `note=x&replays=0&revision=${before}`,
      });
      mustAnswer(reply, [403], `${action} with ${JSON.stringify(headers)}`);
    }
  }
  must((await site.revision(id)) === before, "a form of another site has changed the letter");
}

/** Names that another site could make lead here. */
const NAMES = [
  "evil.example",
  "evil.example:80",
  "localhost.evil.example",
  "127.0.0.1.evil.example",
  "127.0.0.1.nip.io",
  "localhost@evil.example",
  "evil.example#localhost",
  "localhost:80:80",
  "127.1",
  "0x7f000001",
  "[::1].evil.example",
  "localhost evil.example",
] as const;

async function namesAt(base: string, path: string): Promise<void> {
  for (const host of NAMES) {
    const reply = await ask(base, path, { headers: { host } });
    // Node refuses by itself what is no name.
    mustAnswer(reply, [400, 421], `Host: ${host}`);
  }
  const empty = await raw(base, `GET ${path} HTTP/1.1\r\nhost:\r\n\r\n`);
  must([400, 421].includes(statuses(empty)[0] ?? 0), `an empty Host: ${empty.slice(0, 60)}`);
  const both = await raw(base, `GET ${path} HTTP/1.1\r\nhost: evil.example\r\nhost: localhost\r\n\r\n`);
  must([400, 421].includes(statuses(both)[0] ?? 0), `two Hosts: ${both.slice(0, 60)}`);
  const old = await raw(base, `GET ${path} HTTP/1.0\r\n\r\n`);
  must(/^HTTP\/1\.[01] (400|421)/.test(old), `HTTP/1.0 without a Host: ${old.slice(0, 60)}`);
  const absolute = await raw(base, `GET http://localhost${path} HTTP/1.1\r\nhost: evil.example\r\n\r\n`);
  must(
    [400, 421].includes(statuses(absolute)[0] ?? 0),
    `absolute form under another name: ${absolute.slice(0, 60)}`,
  );
}

export const otherSites: AttackCase = {
  name: "other-sites",
  trials: [
    {
      name: "forms, with a password",
      holds: "A form of another site changes nothing on the board, though the browser sends the password",
      run: async (site) => formsOn(site, "basic"),
    },
    {
      name: "forms, on loopback",
      holds: "A form of another site changes nothing on the board of a developer",
      run: async (site) => formsOn(site, "local"),
    },
    {
      name: "jobs by a form",
      holds: "The API takes no job from a page of another site, in any type that needs no leave",
      run: async (site) => {
        const { url } = await site.api();
        const body = JSON.stringify({ pool: POOL, lane: LANE, prompt: "Hello" });
        for (const headers of ELSEWHERE) {
          for (const type of SIMPLE_TYPES) {
            const reply = await ask(url, "/v1/jobs", {
              method: "POST",
              headers: { ...headers, ...(type === "" ? {} : { "content-type": type }) },
              body,
            });
            mustAnswer(reply, [403, 415], `${type} with ${JSON.stringify(headers)}`);
          }
        }
      },
    },
    {
      name: "cancelled by a form",
      holds: "A page of another site cancels no job",
      run: async (site) => {
        const { url } = await site.api();
        const id = await site.waits("stays");
        for (const headers of ELSEWHERE) {
          const reply = await ask(url, `/v1/jobs/${id}/cancel`, { method: "POST", headers });
          mustAnswer(reply, [403], JSON.stringify(headers));
        }
      },
    },
    {
      name: "faults by a form",
      holds: "A page of another site sets no fault in the simulator, and reads no call",
      run: async ({ services: { simulatorUrl } }) => {
        for (const headers of ELSEWHERE) {
          const sent = { method: "POST", headers: { ...headers, "content-type": "text/plain" }, body: "[]" };
          mustAnswer(await ask(simulatorUrl, "/_sim/faults", sent), [403], JSON.stringify(headers));
          mustAnswer(await ask(simulatorUrl, "/_sim/faults", { method: "DELETE", headers }), [403], "DELETE");
        }
      },
    },
    {
      name: "no leave",
      holds: "No answer lets the script of another site read it, and no preflight is granted",
      run: async (site) => {
        const bases = [(await site.api()).url, (await site.board("local")).url, site.services.simulatorUrl];
        for (const base of bases) {
          for (const method of ["GET", "OPTIONS"]) {
            const reply = await ask(base, "/v1/jobs", {
              method,
              headers: { origin: "http://evil.example", "access-control-request-method": "POST" },
            });
            const granted = Object.keys(reply.headers).find((name) => name.startsWith("access-control-"));
            must(granted === undefined, `${base} answers ${method} with ${granted}`);
          }
        }
      },
    },
    {
      name: "names of the API",
      holds: "The API answers under its own names only",
      run: async (site) => namesAt((await site.api()).url, `/v1/pools/${POOL}`),
    },
    {
      name: "names of the board",
      holds: "The board of a developer answers under its own names only",
      run: async (site) => namesAt((await site.board("local")).url, "/api/queues"),
    },
    {
      name: "names of the open board",
      holds: "A board that asks nobody answers under its own names only",
      run: async (site) => namesAt((await site.board("open")).url, "/api/queues"),
    },
    {
      name: "names of the simulator",
      holds: "The simulator answers under its own names only",
      run: async ({ services }) => namesAt(services.simulatorUrl, "/_sim/calls"),
    },
  ],
};
