/** Who is slow on purpose holds a connection for a bounded time. */
import { setTimeout as sleep } from "node:timers/promises";
import { must, type Attack, type AttackCase } from "../attack.ts";
import { closed, open } from "../http.ts";
import type { Site } from "../site.ts";

/** A request may take 30 s, and those that are late are looked for every few seconds. */
const LONGEST_MS = 50_000;
const DRIP_MS = 1_000;
const CONNECTIONS = 40;

type Base = (site: Site) => Promise<string>;

const BASES: Readonly<Record<string, Base>> = {
  API: async (site) => (await site.api()).url,
  board: async (site) => (await site.board("local")).url,
  simulator: async (site) => site.services.simulatorUrl,
};

/** Begins with `head`, then sends a byte a second until the server has had enough. */
async function drip(base: string, head: string): Promise<void> {
  const sockets = await Promise.all(Array.from({ length: CONNECTIONS }, async () => open(base)));
  const from = performance.now();
  const ends = sockets.map(async (socket) => {
    socket.resume();
    if (head !== "") socket.write(head);
    const timer = setInterval(() => head !== "" && socket.write("a"), DRIP_MS);
    await closed(socket);
    clearInterval(timer);
  });
  const all = Promise.all(ends).then(() => true);
  const ended = await Promise.race([all, sleep(LONGEST_MS, false)]);
  const left = sockets.filter(({ destroyed }) => !destroyed).length;
  for (const socket of sockets) socket.destroy();
  must(ended, `${left} of ${CONNECTIONS} are open after ${Math.round(performance.now() - from)} ms`);
}

const HEADS: Readonly<Record<string, string>> = {
  silence: "",
  headers: "POST /v1/jobs HTTP/1.1\r\nhost: localhost\r\nx-a: ",
  body: "POST /v1/jobs HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n",
};

const attacks = Object.entries(BASES).flatMap(([name, base]) =>
  Object.entries(HEADS).map(([part, head]): Attack => ({
    name: `${part} of ${name}`,
    holds: `${CONNECTIONS} connections with ${part === "silence" ? part : `a byte of their ${part} a second`} are ended within ${LONGEST_MS / 1_000} s`,
    run: async (site) => drip(await base(site), head),
  })),
);

export const slow: AttackCase = { name: "slow", trials: attacks, beside: true };
