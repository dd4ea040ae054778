/** Where the programs listen, and on which addresses they refuse to. */
import { readdir, readFile, readlink } from "node:fs/promises";
import { must, type AttackCase } from "../attack.ts";
import { ask } from "../http.ts";
import { PROGRAMS } from "../../programs.ts";
import type { Site } from "../site.ts";

/** Addresses of IPv4 and IPv6 loopback as Linux writes them: bytes of a word backwards. */
const LOOPBACK = /^(?:[0-9A-F]{6}7F|00000000000000000000000001000000|0000000000000000FFFF0000[0-9A-F]{6}7F)$/;
const LISTENS = "0A";

/** Local addresses on which a process listens, as Linux writes them. */
async function listening(pid: number): Promise<string[]> {
  const names = await readdir(`/proc/${pid}/fd`);
  const links = await Promise.all(names.map(async (fd) => readlink(`/proc/${pid}/fd/${fd}`).catch(() => "")));
  const sockets = new Set(links.map((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1]));
  const tables = await Promise.all(
    ["tcp", "tcp6"].map(async (name) => readFile(`/proc/${pid}/net/${name}`, "utf8")),
  );
  return tables
    .flatMap((text) => text.trim().split("\n").slice(1))
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[3] === LISTENS && sockets.has(fields[9]))
    .map((fields) => fields[1]?.split(":")[0] ?? "");
}

/** Not loopback, though some of them look like it. */
const ADDRESSES = ["0.0.0.0", "::", "0", "localhost.", "127.0.0.1.", " 127.0.0.1", "::ffff:0.0.0.0"];

async function refuses(
  site: Site,
  program: "api" | "board",
  env: Readonly<Record<string, string>>,
): Promise<void> {
  const { code, text } = await site.run(PROGRAMS[program], [], {
    ...site.installation.env,
    PORT: "0",
    ...env,
  });
  must(code === 1, `the ${program} with ${JSON.stringify(env)} ended with ${code}: ${text.slice(0, 200)}`);
  must(!text.includes("listening"), `the ${program} with ${JSON.stringify(env)} listened`);
}

export const ports: AttackCase = {
  name: "ports",
  trials: [
    {
      name: "what listens",
      holds: "API, board, simulator, Redis and DynamoDB listen on loopback alone, and a worker nowhere",
      run: async (site) => {
        const { worker } = await site.fleet();
        const pids = [(await site.api()).process.pid, (await site.board("local")).process.pid];
        const { redis, simulator, dynamoDb } = site.services.found;
        const services = [redis.pid, simulator.pid, dynamoDb.pid].filter((pid) => pid !== null);
        for (const pid of [...pids, ...services]) {
          const addresses = await listening(pid);
          must(addresses.length > 0, `process ${pid} listens nowhere, so this proves nothing`);
          must(
            addresses.every((address) => LOOPBACK.test(address)),
            `process ${pid} listens on ${addresses.join(" ")}`,
          );
        }
        const ofWorker = await listening(worker.pid);
        must(ofWorker.length === 0, `the worker listens on ${ofWorker.join(" ")}`);
      },
    },
    {
      name: "addresses that others reach",
      holds:
        "API and board end with a sentence rather than listen where others reach them and nobody is asked",
      run: async (site) => {
        for (const [at, HOST] of ADDRESSES.entries())
          await refuses(site, at % 2 === 0 ? "api" : "board", { HOST });
      },
    },
    {
      name: "half a configuration",
      holds:
        "A board whose users or proxy are set half, twice or wrong ends with a sentence, and lets nobody in",
      run: async (site) => {
        const hash = `scrypt:1024:8:1:${"00".repeat(16)}:${"00".repeat(32)}`;
        const halves: Readonly<Record<string, string>>[] = [
          { SLUICE_BOARD_USERS: " " },
          { SLUICE_BOARD_USERS: `a:root:${hash}` },
          { SLUICE_BOARD_USERS: `a:admin:${hash} a:viewer:${hash}` },
          { SLUICE_BOARD_USERS: `a:admin:${hash}`, SLUICE_BOARD_PROXY_PEERS: "127.0.0.1" },
          { SLUICE_BOARD_PROXY_PEERS: "127.0.0.1", SLUICE_BOARD_PROXY_GROUPS: "*=viewer" },
          {
            SLUICE_BOARD_PROXY_PEERS: "0.0.0.0/0",
            SLUICE_BOARD_PROXY_SECRET: "x".repeat(30),
            SLUICE_BOARD_PROXY_GROUPS: "*=admin",
          },
        ];
        await Promise.all(halves.map(async (env) => refuses(site, "board", env)));
      },
    },
    {
      name: "health checks under another name",
      holds: "Under a name that was made to lead here the health checks say how it is and nothing else",
      run: async (site) => {
        const bases = [(await site.api()).url, (await site.board("local")).url];
        for (const base of bases) {
          for (const path of ["/healthz", "/readyz"]) {
            const { status, text } = await ask(base, path, { headers: { host: "evil.example" } });
            must(
              status === 200 && /^\{"status":"[a-z]+"\}$/.test(text),
              `${path}: ${status} ${text.slice(0, 200)}`,
            );
          }
        }
      },
    },
  ],
};
