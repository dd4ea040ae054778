/** A role may do what the table of the docs says, and nothing else, however the path is spelt. */
import { must, mustAnswer, type Attack, type AttackCase } from "../attack.ts";
import { ask } from "../http.ts";
import type { Role, Site } from "../site.ts";

const CLASS = "RolesException";
const QUEUE = `/api/queues/dead-letter.${CLASS}`;

interface Write {
  readonly method: string;
  readonly path: string;
  /** The least role; `nobody` where the board does not offer it. */
  readonly least: Role | "nobody";
}

/** All writes that Bull Board knows, and those of the pages. */
function writesOn(id: string): Write[] {
  const lane = "/api/queues/claude.standard";
  const letter = `/dead-letters/letter/${id}`;
  const put = (path: string, least: Write["least"]): Write => ({ method: "PUT", path, least });
  const post = (path: string, least: Write["least"]): Write => ({ method: "POST", path, least });
  return [
    put("/api/queues/pause", "nobody"),
    put("/api/queues/resume", "nobody"),
    put(`${lane}/pause`, "nobody"),
    put(`${lane}/resume`, "nobody"),
    put(`${lane}/obliterate`, "nobody"),
    put(`${lane}/promote`, "nobody"),
    put(`${lane}/concurrency`, "nobody"),
    put(`${lane}/rate-limit`, "nobody"),
    put(`${lane}/rate-limit/release`, "nobody"),
    put(`${lane}/job-schedulers/x/remove`, "nobody"),
    put(`${lane}/job-schedulers/x/run`, "nobody"),
    post(`${lane}/add`, "nobody"),
    post("/api/metrics/history/purge", "nobody"),
    { method: "PATCH", path: `${lane}/x/delay`, least: "nobody" },
    { method: "PATCH", path: `${lane}/job-schedulers/x`, least: "nobody" },
    put(`${QUEUE}/empty`, "admin"),
    put(`${QUEUE}/clean/failed`, "admin"),
    put(`${QUEUE}/${id}/clean`, "admin"),
    post(`${letter}/purge`, "admin"),
    put(`${QUEUE}/${id}/retry`, "operator"),
    put(`${QUEUE}/${id}/promote`, "operator"),
    put(`${QUEUE}/retry/failed`, "operator"),
    { method: "PATCH", path: `${QUEUE}/${id}/update-data`, least: "operator" },
    post(`${letter}/replay`, "operator"),
    post(`${letter}/park`, "operator"),
    post(`${letter}/unpark`, "operator"),
    post(`${letter}/note`, "operator"),
    post(`${letter}/edit`, "operator"),
    post(`${letter}/take-back`, "operator"),
    post("/dead-letters/replays", "operator"),
    post("/dead-letters/replays/x/stop", "operator"),
  ];
}

const RANK: Readonly<Record<Role | "nobody", number>> = { viewer: 0, operator: 1, admin: 2, nobody: 3 };

async function tryAll(site: Site, role: Role): Promise<void> {
  const { url } = await site.board("basic");
  const id = await site.dead({ errorClass: CLASS });
  const before = await site.revision(id);
  for (const { method, path, least } of writesOn(id)) {
    if (RANK[role] >= RANK[least]) continue;
    const reply = await ask(url, path, { method, headers: { authorization: site.login(role) } });
    mustAnswer(reply, least === "nobody" ? [403, 404, 405] : [403], `${role} ${method} ${path}`);
  }
  must((await site.revision(id)) === before, "a refused write has changed the letter");
}

/** Other spellings of what only an admin may do. */
function spellings(id: string): [string, string][] {
  const letter = `/dead-letters/letter/${id}`;
  return [
    ["POST", `${letter}/%70urge`],
    ["POST", `${letter}/purge/`],
    ["POST", `/DEAD-LETTERS/LETTER/${id}/purge`],
    ["POST", `//dead-letters/letter/${id}/purge`],
    ["POST", `/dead-letters/letter/${id}/./purge`],
    ["POST", `/dead-letters/letter/x%2F..%2F${id}/purge`],
    ["POST", `/x/../dead-letters/letter/${id}/purge`],
    ["POST", `http://localhost/dead-letters/letter/${id}/purge`],
    ["PUT", `${QUEUE}/${id}/%63lean`],
    ["PUT", `${QUEUE}/${id}/clean/`],
    ["PUT", `/API/queues/dead-letter.${CLASS}/${id}/CLEAN`],
    ["PUT", `/api/queues/%64ead-letter.${CLASS}/empty`],
    ["PUT", `${QUEUE}/%65mpty`],
    ["PUT", `${QUEUE}/clean/%66ailed`],
    ["PUT", `${QUEUE};a=b/empty`],
    ["GET", `${letter}/purge`],
    ["HEAD", `${letter}/purge`],
    ["DELETE", letter],
  ];
}

const byRole = (["viewer", "operator", "admin"] as const).map((role): Attack => ({
  name: `writes of a ${role}`,
  holds: `A ${role} is refused every write that his role does not allow, and it changes nothing`,
  run: async (site) => tryAll(site, role),
}));

export const roles: AttackCase = {
  name: "roles",
  trials: [
    ...byRole,
    {
      name: "spellings",
      holds:
        "No spelling of a path lets an operator delete: encoded, doubled, upper case, absolute, with dots",
      run: async (site) => {
        const { url } = await site.board("basic");
        const id = await site.dead({ errorClass: CLASS });
        const revision = await site.revision(id);
        const headers = {
          authorization: site.login("operator"),
          "content-type": "application/x-www-form-urlencoded",
        };
        for (const [method, path] of spellings(id)) {
          const body = method === "GET" || method === "HEAD" ? undefined : `revision=${revision}`;
          const { status } = await ask(url, path, { method, headers, body });
          must(status >= 400 && status < 500, `${method} ${path}: ${status}`);
        }
        must((await site.revision(id)) === revision, "the letter has changed");
      },
    },
    {
      name: "overrides",
      holds: "A method in a header or a field is not the request's method",
      run: async (site) => {
        const { url } = await site.board("basic");
        const id = await site.dead({ errorClass: CLASS });
        const revision = await site.revision(id);
        for (const name of ["x-http-method-override", "x-http-method", "x-method-override"]) {
          const headers = {
            authorization: site.login("operator"),
            [name]: "PUT",
            "content-type": "application/x-www-form-urlencoded",
          };
          await ask(url, `${QUEUE}/${id}/clean?_method=PUT`, { headers });
          await ask(url, `${QUEUE}/${id}/clean`, { method: "POST", headers, body: "_method=PUT" });
        }
        must((await site.revision(id)) === revision, "the letter has changed");
      },
    },
    {
      name: "prompt",
      holds: "The prompt is for admins: also with the query twice, encoded, or in another case",
      run: async (site) => {
        const { url } = await site.board("basic");
        const text = site.canary("prompt-of-role");
        const request = { messages: [{ role: "user", content: [{ text }] }], maxTokens: 10 };
        const id = await site.dead({ errorClass: CLASS, request });
        const letter = `/dead-letters/letter/${id}`;
        const paths = [
          letter,
          `${letter}?prompt=full`,
          `${letter}?prompt=full&prompt=full`,
          `${letter}?prompt[]=full`,
          `${letter}?PROMPT=full`,
          `${letter}?prompt=%66ull`,
          `${QUEUE}/${id}`,
          `${QUEUE}/${id}/logs`,
          `${QUEUE}/${id}/flow`,
          `/api/queues?activeQueue=dead-letter.${CLASS}&status=failed&page=1&jobsPerPage=100`,
        ];
        for (const role of ["viewer", "operator"] as const) {
          for (const path of paths) {
            const reply = await ask(url, path, { headers: { authorization: site.login(role) } });
            must(!reply.text.includes(text), `${role} has read the prompt at ${path}`);
          }
        }
        const open = await ask(url, `${letter}?prompt=full`, {
          headers: { authorization: site.login("admin") },
        });
        must(open.text.includes(text), "an admin cannot read the prompt, so this attack proves nothing");
      },
    },
  ],
};
