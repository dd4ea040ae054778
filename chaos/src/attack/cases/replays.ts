/** Many who replay the same at once: each letter is replayed once, and few runs are made of many clicks. */
import { setTimeout as sleep } from "node:timers/promises";
import { must, mustAnswer, type AttackCase } from "../attack.ts";
import { ask, type Reply } from "../http.ts";
import { POOL } from "../pools.ts";
import type { Site } from "../site.ts";

const FORM = { "content-type": "application/x-www-form-urlencoded" };
const LETTERS = 60;
const AT_ONCE = 5;
const CLICKS = 30;

async function start(base: string, form: string): Promise<Reply> {
  return ask(base, "/dead-letters/replays", { method: "POST", headers: FORM, body: `start=yes&${form}` });
}

/** The run that an answer leads to. */
function runOf({ headers }: Reply): string | undefined {
  return /\/replays\/([^/?]+)/.exec(headers.location ?? "")?.[1];
}

/** Waits until no letter is dead any more; a replay of a few at a time takes its time. */
async function untilClaimed(site: Site, ids: readonly string[]): Promise<void> {
  const until = performance.now() + 30_000;
  for (;;) {
    const letters = await Promise.all(ids.map(async (id) => site.letters.get(id)));
    const open = letters.filter((letter) => letter?.state === "dead").length;
    if (open === 0) return;
    await sleep(50);
    must(performance.now() < until, `${open} letters were not replayed within 30 s`);
  }
}

/** How often each letter was claimed. */
async function claimsOf(site: Site, ids: readonly string[]): Promise<number[]> {
  const letters = await Promise.all(ids.map(async (id) => site.letters.get(id)));
  return letters.map((letter) => letter?.replays ?? 0);
}

export const replays: AttackCase = {
  name: "replays",
  trials: [
    {
      name: "five at once",
      holds: `${LETTERS} letters under ${AT_ONCE} simultaneous replays are replayed once each`,
      run: async (site) => {
        const { url } = await site.board("local");
        const lane = "bulk";
        const errorClass = "FiveException";
        const ids = await Promise.all(
          Array.from({ length: LETTERS }, async () => site.dead({ errorClass, lane })),
        );
        const before = (await site.installation.records.lane(POOL, lane).counts()).waiting;
        const forms = [
          `scope=filter&class=${errorClass}`,
          `scope=filter&pool=${POOL}&lane=${lane}`,
          `scope=filter&class=${errorClass}`,
          `scope=ticked${ids.map((id) => `&letter=${id}~0`).join("")}`,
        ];
        const queue = `/api/queues/dead-letter.${errorClass}/retry/failed`;
        const replies = await Promise.all([
          ...forms.map(async (form) => start(url, form)),
          ask(url, queue, { method: "PUT" }),
        ]);
        for (const reply of replies)
          must(reply.status < 500 && reply.status > 0, `${reply.status}: ${reply.text}`);
        await untilClaimed(site, ids);
        const claims = await claimsOf(site, ids);
        must(
          claims.every((count) => count === 1),
          `letters were claimed ${claims.join(" ")} times`,
        );
        const added = (await site.installation.records.lane(POOL, lane).counts()).waiting - before;
        must(added <= LETTERS, `${added} jobs were made of ${LETTERS} letters`);
      },
    },
    {
      name: "clicks",
      holds: `${CLICKS} clicks on the same replay make one run`,
      run: async (site) => {
        const { url } = await site.board("local");
        const errorClass = "ClicksException";
        await Promise.all(Array.from({ length: 10 }, async () => site.dead({ errorClass })));
        const form = `scope=filter&class=${errorClass}`;
        const replies = await Promise.all(Array.from({ length: CLICKS }, async () => start(url, form)));
        for (const reply of replies) must(reply.status < 500 && reply.status > 0, `${reply.status}`);
        const runs = new Set(replies.map(runOf).filter((run) => run !== undefined));
        must(runs.size === 1, `${runs.size} runs were made`);
      },
    },
    {
      name: "many searches",
      holds: "20 different replays at once make five runs at most, and the others are told to wait",
      run: async (site) => {
        const { url } = await site.board("local");
        const classes = Array.from({ length: 20 }, (_, index) => `Many${index}Exception`);
        await Promise.all(classes.map(async (errorClass) => site.dead({ errorClass, lane: "critical" })));
        const replies = await Promise.all(
          classes.map(async (each) => start(url, `scope=filter&class=${each}`)),
        );
        for (const reply of replies) mustAnswer(reply, [303, 409, 429, 503], "a replay");
        mustAnswer(await ask(url, "/dead-letters/replays"), [200], "afterwards");
      },
    },
    {
      name: "letters that are none",
      holds: "A replay of ids that are none, twice the same, or of 200 at once replays nothing twice",
      run: async (site) => {
        const { url } = await site.board("local");
        const id = await site.dead({ errorClass: "TwiceException" });
        const odd = [
          "*~0",
          "..~0",
          `${id}~NaN`,
          `${id}~-1`,
          `${id}~1e99`,
          "~",
          `${POOL}.__proto__.x~0`,
          "\0~0",
        ];
        for (const value of odd) {
          const reply = await start(url, `scope=ticked&letter=${encodeURIComponent(value)}`);
          must(reply.status < 500 && reply.status > 0, `${JSON.stringify(value)}: ${reply.status}`);
        }
        mustAnswer(await start(url, `scope=ticked${`&letter=${id}~0`.repeat(200)}`), [400], "200 ticked");
        const many = `scope=ticked${`&letter=${id}~0`.repeat(50)}`;
        const until = performance.now() + 30_000;
        let reply = await start(url, many);
        // Runs of the attacks before may be under way, as many as may be.
        while (reply.status === 409 && performance.now() < until) {
          await sleep(200);
          reply = await start(url, many);
        }
        mustAnswer(reply, [303], "50 times the same");
        await untilClaimed(site, [id]);
        const [claims] = await claimsOf(site, [id]);
        must(claims === 1, `it was claimed ${claims} times`);
      },
    },
  ],
};
