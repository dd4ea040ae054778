/** Texts of strangers in a terminal: shown, never obeyed. */
import { createServer } from "node:http";
import { once } from "node:events";
import { must, type AttackCase } from "../attack.ts";
import { POOL } from "../pools.ts";
import type { Site } from "../site.ts";

/** Sets a title, clears the screen, moves back, turns the direction, ends a line, and the same in one byte. */
const OBEYED = "\u001b]0;owned\u0007\u001b[2J\u001b[1A\rowned\b\u202e\u009b31m\u2028\u0000";

/** The same without what no argument and no variable can hold. */
const ARGUMENT = OBEYED.replaceAll("\u0000", "");

/** What a terminal would obey. Line ends are those of our own lines. */
// oxlint-disable-next-line no-control-regex -- they are what is looked for
const UNSEEN = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069\u2028\u2029]/;

async function shows(
  site: Site,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<void> {
  const { text } = await site.cli(args, env);
  const found = UNSEEN.exec(text);
  must(
    found === null,
    `sluice ${args.join(" ")} prints ${JSON.stringify(text.slice(Math.max(0, (found?.index ?? 0) - 20), (found?.index ?? 0) + 20))}`,
  );
  must(text.trim() !== "", "it prints nothing, so this proves nothing");
}

/** Answers every request with a text. */
async function answering(status: number, body: string, work: (url: string) => Promise<void>): Promise<void> {
  const server = createServer((_request, response) => {
    response.writeHead(status, { "content-type": "application/json" }).end(body);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  try {
    await work(`http://127.0.0.1:${typeof address === "object" ? address?.port : 0}`);
  } finally {
    server.close();
    server.closeAllConnections();
  }
}

export const terminal: AttackCase = {
  name: "terminal",
  trials: [
    {
      name: "letters",
      holds: "Messages, notes and names in letters reach no terminal as control characters, also as JSON",
      run: async (site) => {
        const request = { messages: [{ role: "user", content: [{ text: OBEYED }] }], maxTokens: 5 };
        const id = await site.dead({ errorClass: "TerminalException", message: OBEYED, request });
        await site.letters.note(id, { by: OBEYED, note: OBEYED });
        await shows(site, ["dead-letters", "list"]);
        await shows(site, ["dead-letters", "list", "--json"]);
        await shows(site, ["dead-letters", "show", id, "--prompt"]);
        await shows(site, ["dead-letters", "replay", "--class", "TerminalException", "--dry-run"]);
      },
    },
    {
      name: "arguments",
      holds: "What is wrong with an argument is told without its control characters",
      run: async (site) => {
        await shows(site, ["quota", "show", ARGUMENT]);
        await shows(site, ["quota", "set", POOL, `${ARGUMENT}=5`]);
        await shows(site, ["breaker", POOL, ARGUMENT]);
        await shows(site, ["breaker", POOL, "open", "--by", ARGUMENT]);
        await shows(site, ["dead-letters", "show", ARGUMENT]);
        await shows(site, ["dead-letters", "list", "--cursor", ARGUMENT]);
        await shows(site, ["dead-letters", "list", "--limit", ARGUMENT]);
        await shows(site, ["explain", ARGUMENT, "--api", `http://${ARGUMENT}`]);
        await shows(site, [ARGUMENT]);
      },
    },
    {
      name: "answers of an API",
      holds: "What an API that is none answers reaches no terminal as control characters",
      run: async (site) => {
        const texts: [number, string][] = [
          [200, JSON.stringify({ id: OBEYED, state: OBEYED, why: OBEYED, [OBEYED]: OBEYED })],
          [404, JSON.stringify({ error: { message: OBEYED, code: OBEYED } })],
          [500, OBEYED],
        ];
        for (const [status, body] of texts) {
          await answering(status, body, async (url) => {
            await shows(site, ["explain", "x", "--api", url]);
            await shows(site, ["explain", "x", "--json", "--api", url]);
          });
        }
      },
    },
    {
      name: "environment",
      holds: "What is wrong with a variable is told without its control characters",
      run: async (site) => {
        await shows(site, ["quota", "show", POOL], { REDIS_URL: `redis://${ARGUMENT}` });
        await shows(site, ["quota", "show", POOL], { SLUICE_POOLS: `/none/${ARGUMENT}` });
        await shows(site, ["quota", "show", POOL], { SLUICE_NAMESPACE: ARGUMENT });
      },
    },
  ],
};
