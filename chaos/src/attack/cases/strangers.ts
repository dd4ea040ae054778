/** Whoever has no login gets nothing, by whatever path and method he asks. */
import { must, mustAnswer, type Attack, type AttackCase } from "../attack.ts";
import { ask, raw, statuses, written } from "../http.ts";

export const METHODS = [
  "GET",
  "HEAD",
  "POST",
  "PUT",
  "PATCH",
  "DELETE",
  "OPTIONS",
  "TRACE",
  "CONNECT",
  "PROPFIND",
  "QUERY",
] as const;

const QUEUE = "/api/queues/claude.standard";
const LETTERS = "/api/queues/dead-letter.ValidationException";
const LETTER = "/dead-letters/letter/claude.standard.01arz3ndektsv4rrffq69g5fav";

/** Everything that the board has, some of it spelt as no browser would, and what it has not. */
export const BOARD_PATHS = [
  "/",
  "/queue/claude.standard",
  "/queue/claude.standard/1",
  "/settings",
  "/static/js/main.js",
  "/static/../package.json",
  "/static/locales/en-US/messages.json",
  "/api/queues",
  "/api/queues?activeQueue=claude.standard&status=latest&page=1&jobsPerPage=10",
  "/api/redis/stats",
  "/api/metrics/history",
  "/api/metrics/latency",
  "/api/metrics/history/usage",
  "/api/metrics/history/purge",
  "/api/job-schedulers",
  `${QUEUE}/metrics`,
  `${QUEUE}/workers`,
  `${QUEUE}/rate-limit`,
  `${QUEUE}/default-job-options`,
  `${QUEUE}/job-data-schema`,
  `${QUEUE}/add`,
  `${QUEUE}/pause`,
  `${QUEUE}/resume`,
  `${QUEUE}/empty`,
  `${QUEUE}/obliterate`,
  `${QUEUE}/promote`,
  `${QUEUE}/concurrency`,
  `${QUEUE}/retry/failed`,
  `${QUEUE}/clean/completed`,
  `${QUEUE}/1`,
  `${QUEUE}/1/logs`,
  `${QUEUE}/1/flow`,
  `${QUEUE}/1/retry`,
  `${QUEUE}/1/clean`,
  `${QUEUE}/1/promote`,
  `${QUEUE}/1/update-data`,
  `${LETTERS}/1/retry`,
  `${LETTERS}/empty`,
  "/dead-letters",
  "/dead-letters?text=a",
  "/dead-letters/page.css",
  "/dead-letters/replays",
  "/dead-letters/replays/1/stop",
  LETTER,
  `${LETTER}?prompt=full`,
  `${LETTER}/purge`,
  `${LETTER}/replay`,
  "/pools",
  "/pools/now.json",
  "/%61pi/queues",
  "//api/queues",
  "/api/queues/",
  "/API/QUEUES",
  "/healthz/../api/queues",
  "/healthz%2f..%2fapi/queues",
] as const;

/** Asks for all paths, a few at a time. */
async function askAll(base: string, method: string): Promise<void> {
  const paths = [...BOARD_PATHS];
  const one = async (): Promise<void> => {
    for (let path = paths.pop(); path !== undefined; path = paths.pop()) {
      const headers = {
        "x-http-method-override": "GET",
        "x-original-url": "/healthz",
        "x-forwarded-user": "root",
        "x-forwarded-groups": "root",
      };
      const reply = await ask(base, path, { method, headers });
      // Node hangs up on a CONNECT that nobody handles.
      const fine = reply.status === 401 || (method === "CONNECT" && reply.status === 0);
      must(fine, `${method} ${path}: ${reply.status} ${reply.text.slice(0, 100)}`);
    }
  };
  await Promise.all(Array.from({ length: 8 }, one));
}

const byMethod = METHODS.map((method): Attack => ({
  name: `board ${method}`,
  holds: `${BOARD_PATHS.length} paths with ${method} and no login are answered 401`,
  run: async (site) => askAll((await site.board("basic")).url, method),
}));

export const strangers: AttackCase = {
  name: "strangers",
  trials: [
    ...byMethod,
    {
      name: "proxy",
      holds: "Without the proxy's secret nobody is known, whatever the headers say",
      run: async (site) => askAll((await site.board("proxy")).url, "GET"),
    },
    {
      name: "health checks",
      holds: "What load balancers may ask without a login says that the board is well, and nothing else",
      run: async (site) => {
        const { url } = await site.board("basic");
        for (const path of ["/healthz", "/readyz"]) {
          const reply = await ask(url, path);
          mustAnswer(reply, [200, 503], path);
          must(/^\{"status":"[a-z -]{1,20}"\}$/.test(reply.text), `${path} says ${reply.text.slice(0, 200)}`);
        }
      },
    },
    {
      name: "logins",
      holds: "What is no login is none: other schemes, no colon, no name, 5,000 characters, two headers",
      run: async (site) => {
        const { url } = await site.board("basic");
        const right = site.login("admin");
        const wrong = [
          "Bearer x",
          "Basic",
          "Basic ====",
          `Basic ${Buffer.from("admin").toString("base64")}`,
          `Basic ${Buffer.from(":x").toString("base64")}`,
          `Basic ${"A".repeat(5_000)}`,
          `${right}, ${right}`,
        ];
        for (const authorization of wrong) {
          mustAnswer(await ask(url, "/api/queues", { headers: { authorization } }), [401], authorization);
        }
        const twice = await ask(url, "/api/queues", {
          headers: ["host", "localhost", "authorization", "Basic eDp4", "authorization", right],
        });
        mustAnswer(twice, [401], "two headers");
      },
    },
    {
      name: "upgrade",
      holds: "An upgrade to a WebSocket or to HTTP/2 is no way around the login",
      run: async (site) => {
        const { url } = await site.board("basic");
        for (const upgrade of ["websocket", "h2c"]) {
          const headers = [
            "connection: Upgrade, HTTP2-Settings",
            `upgrade: ${upgrade}`,
            "http2-settings: AAMAAABk",
          ];
          const [status] = statuses(await raw(url, written(url, "GET /api/queues", headers)));
          must(status === 401, `upgrade to ${upgrade}: ${status}`);
        }
      },
    },
  ],
};
