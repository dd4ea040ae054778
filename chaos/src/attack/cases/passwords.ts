/** Floods of wrong passwords: they are limited, and lock out nobody who has the right one. */
import { must, type AttackCase } from "../attack.ts";
import { ask, basic } from "../http.ts";
import { SHIPPED, type Role, type Site } from "../site.ts";

/** A right password may wait for the checks under way, of which each takes a second of a busy core. */
const LONGEST_LOGIN_MS = 20_000;

/** Wrong passwords for a name, from an address. Resolves to how many got which status. */
async function flood(base: string, name: string, count: number, from?: string): Promise<Map<number, number>> {
  const replies = await Promise.all(
    Array.from({ length: count }, async (_, index) =>
      ask(base, "/api/queues", {
        headers: { authorization: basic(name, `wrong ${from ?? ""} ${index}`) },
        timeoutMs: 60_000,
        ...(from === undefined ? {} : { from }),
      }),
    ),
  );
  const counts = new Map<number, number>();
  for (const { status } of replies) counts.set(status, (counts.get(status) ?? 0) + 1);
  return counts;
}

async function logsIn(site: Site, base: string, role: Role, from?: string): Promise<void> {
  const at = performance.now();
  const headers = { authorization: site.login(role) };
  const reply = await ask(base, "/api/queues", { headers, ...(from === undefined ? {} : { from }) });
  must(reply.status === 200, `the right password of ${role} is answered ${reply.status}: ${reply.text}`);
  const took = performance.now() - at;
  must(took < LONGEST_LOGIN_MS, `the right password of ${role} took ${Math.round(took)} ms`);
}

export const passwords: AttackCase = {
  name: "passwords",
  trials: [
    {
      name: "names that are none",
      holds:
        "150 wrong passwords for names that do not exist refuse no right one, from the same address or another",
      run: async (site) => {
        const { url } = await site.freshBoard();
        const flooding = flood(url, "nobody", 150);
        await logsIn(site, url, "viewer");
        await logsIn(site, url, "operator", "127.0.0.3");
        const counts = await flooding;
        must(!counts.has(200) && (counts.get(429) ?? 0) > 100, `answered ${JSON.stringify([...counts])}`);
      },
    },
    {
      name: "a user's name",
      holds: "200 wrong passwords for an admin refuse nobody else at that address, and not him at his",
      run: async (site) => {
        const { url } = await site.freshBoard();
        await logsIn(site, url, "admin", "127.0.0.9");
        const flooding = flood(url, "admin", 200, "127.0.0.4");
        await logsIn(site, url, "viewer", "127.0.0.4");
        await logsIn(site, url, "admin", "127.0.0.9");
        const counts = await flooding;
        must(!counts.has(200) && (counts.get(401) ?? 0) <= 8, `answered ${JSON.stringify([...counts])}`);
      },
    },
    {
      name: "many addresses",
      holds: "Wrong passwords for one user from 24 addresses are limited together, and others get in",
      run: async (site) => {
        const { url } = await site.freshBoard();
        await logsIn(site, url, "operator", "127.0.0.9");
        const addresses = Array.from({ length: 24 }, (_, index) => `127.0.1.${index + 1}`);
        const flooding = Promise.all(addresses.map(async (from) => flood(url, "operator", 3, from)));
        await logsIn(site, url, "viewer", "127.0.0.5");
        await logsIn(site, url, "operator", "127.0.0.9");
        const counts = await flooding;
        const looked = counts.reduce((sum, each) => sum + (each.get(401) ?? 0), 0);
        must(looked <= 60, `${looked} of 72 were checked`);
      },
    },
    {
      name: "the time it takes",
      holds: "A name that does not exist takes as long as one that does",
      run: async (site) => {
        const { url } = await site.freshBoard(SHIPPED);
        const took: Record<string, number> = {};
        for (const name of ["viewer", "nobody"]) {
          const each: number[] = [];
          for (const index of [1, 2]) {
            const at = performance.now();
            await ask(url, "/api/queues", { headers: { authorization: basic(name, `timing ${index}`) } });
            each.push(performance.now() - at);
          }
          took[name] = Math.min(...each);
        }
        const { viewer = 0, nobody = 0 } = took;
        must(
          nobody > viewer / 4 && viewer > nobody / 4,
          `${Math.round(viewer)} ms and ${Math.round(nobody)} ms`,
        );
      },
    },
  ],
};
