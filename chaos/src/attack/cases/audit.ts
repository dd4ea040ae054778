/** Every write is on record, with who and from where, also when its caller has gone before the answer. */
import { setTimeout as sleep } from "node:timers/promises";
import { must, type Attack, type AttackCase } from "../attack.ts";
import { ask, basic, sendAndReset, written } from "../http.ts";
import type { LogLine } from "../../process.ts";
import type { Running, Site } from "../site.ts";

const FORM = "content-type: application/x-www-form-urlencoded";

function linesOf({ process }: Running, test: (line: LogLine) => boolean): LogLine[] {
  return process.lines.filter((line) => line.msg === "board:audit" && test(line));
}

async function untilLine(running: Running, test: (line: LogLine) => boolean, what: string): Promise<LogLine> {
  const until = performance.now() + 15_000;
  for (;;) {
    const [line] = linesOf(running, test);
    if (line !== undefined) return line;
    must(performance.now() < until, `there is no line of ${what}`);
    await sleep(20);
  }
}

/** What is done by one request, and asked for by somebody who cuts the connection. */
const ACTIONS = [
  "note",
  "park",
  "unpark",
  "replay",
  "purge",
  "retry",
  "retry all",
  "clean",
  "replay many",
] as const;

function requestOf(
  action: (typeof ACTIONS)[number],
  id: string,
  errorClass: string,
  revision: string,
): [string, string] {
  const queue = `/api/queues/dead-letter.${errorClass}`;
  switch (action) {
    case "retry":
      return [`PUT ${queue}/${id}/retry`, ""];
    case "retry all":
      return [`PUT ${queue}/retry/failed`, ""];
    case "clean":
      return [`PUT ${queue}/clean/failed`, ""];
    case "replay many":
      return ["POST /dead-letters/replays", `start=yes&scope=filter&class=${errorClass}`];
    case "note":
    case "park":
    case "unpark":
    case "replay":
    case "purge":
      return [`POST /dead-letters/letter/${id}/${action}`, `note=seen&replays=0&revision=${revision}`];
  }
}

const classOf = (action: (typeof ACTIONS)[number]): string => `Cut${action.replaceAll(" ", "")}`;

const prepared = new WeakMap<Site, Promise<ReadonlyMap<string, string>>>();

/** A letter for each action, all of which the board knows. Made once. */
async function letters(site: Site): Promise<ReadonlyMap<string, string>> {
  const known = prepared.get(site) ?? makeLetters(site);
  prepared.set(site, known);
  return known;
}

async function makeLetters(site: Site): Promise<ReadonlyMap<string, string>> {
  const { url } = await site.board("basic");
  const made = await Promise.all(
    ACTIONS.map(async (action) => [action, await site.dead({ errorClass: classOf(action) })] as const),
  );
  await Promise.all(made.map(async ([action, id]) => site.untilListed(url, classOf(action), id)));
  return new Map(made);
}

async function cut(site: Site, action: (typeof ACTIONS)[number], afterMs: number): Promise<void> {
  const running = await site.board("basic");
  const errorClass = classOf(action);
  const id = (await letters(site)).get(action) ?? "";
  const [line, form] = requestOf(action, id, errorClass, await site.revision(id));
  const known = new Set(linesOf(running, () => true));
  const request = written(running.url, line, [FORM, `authorization: ${site.login("admin")}`], form);
  await sendAndReset(running.url, request, afterMs);
  const path = line.split(" ")[1];
  const ofThis = (each: LogLine): boolean => !known.has(each) && each["path"] === path;
  const intent = await untilLine(running, (each) => ofThis(each) && each["phase"] === "intent", "the intent");
  must(intent["user"] === "admin" && intent["from"] === "127.0.0.1", `it says ${JSON.stringify(intent)}`);
  const result = await untilLine(
    running,
    (each) => each["id"] === intent["id"] && each["phase"] === "result",
    "the result",
  );
  must(typeof result["status"] === "number", "the result has no status");
}

const byAction = ACTIONS.map((action): Attack => ({
  name: `${action}, cut off`,
  holds: `A ${action} is on record before and after, when its connection is reset 2 ms later`,
  run: async (site) => cut(site, action, 2),
}));

export const audit: AttackCase = {
  name: "audit",
  trials: [
    ...byAction,
    {
      name: "refused writes",
      holds: "A write that is refused for its role is on record, with its status",
      run: async (site) => {
        const running = await site.board("basic");
        const path = "/dead-letters/letter/refused-on-record/purge";
        await ask(running.url, path, { method: "POST", headers: { authorization: site.login("viewer") } });
        const line = await untilLine(
          running,
          (each) => each["path"] === path && each["phase"] === "result",
          "the refusal",
        );
        must(line["status"] === 403 && line["user"] === "viewer", JSON.stringify(line));
      },
    },
    {
      name: "prompts read",
      holds: "A look at a prompt is on record, also when its reader has gone",
      run: async (site) => {
        const running = await site.board("basic");
        const id = await site.dead({ errorClass: "ReadException" });
        const path = `/dead-letters/letter/${id}`;
        const authorization = site.login("admin");
        await ask(running.url, `${path}?prompt=full`, { headers: { authorization } });
        await sendAndReset(
          running.url,
          written(running.url, `GET ${path}?prompt=full`, [`authorization: ${authorization}`]),
          200,
        );
        await untilLine(
          running,
          (each) => each["path"] === path && each["detail"] === "read the prompt",
          "the look",
        );
      },
    },
    {
      name: "failed logins",
      holds: "300 failed logins make few lines, and are all counted by the time the board ends",
      run: async (site) => {
        const running = await site.start("board", {
          SLUICE_BOARD_USERS: `somebody:viewer:scrypt:1024:8:1:${"00".repeat(16)}:${"00".repeat(32)}`,
        });
        const tries = Array.from({ length: 300 }, async (_, index) =>
          ask(running.url, "/api/queues", {
            headers: { authorization: basic("somebody", `wrong ${index}`) },
          }),
        );
        await Promise.all(tries);
        running.process.kill("SIGTERM");
        await running.process.exit;
        const lines = linesOf(running, (each) => each["phase"] === "refused");
        const counted = lines.map(({ detail }) =>
          Number(/^(\d+) (?:more )?failed/.exec(String(detail))?.[1] ?? 1),
        );
        const sum = counted.reduce((all, each) => all + each, 0);
        must(sum === 300, `${sum} of 300 are on record`);
        must(lines.length < 20, `${lines.length} lines were written`);
        must(
          lines.every(({ from }) => from === "127.0.0.1"),
          "a line does not say from where",
        );
      },
    },
    {
      name: "commands",
      holds:
        "What `sluice breaker`, `quota set` and `quota reset` do is in the worker's log, with who and from where",
      run: async (site) => {
        const { installation, worker } = await site.fleet();
        const by = "mallory";
        const { env } = installation;
        const commands = [
          ["breaker", "claude", "open", "--by", by],
          ["breaker", "claude", "close", "--by", by],
          ["quota", "set", "claude", "tokens-per-minute=99000000", "--by", by],
          ["quota", "reset", "claude", "--by", by],
        ];
        for (const command of commands) {
          const { code, text } = await site.cli(command, env);
          must(code === 0, `sluice ${command.join(" ")}: ${text}`);
        }
        const until = performance.now() + 15_000;
        for (;;) {
          const lines = worker.lines.filter((line) => line.msg === "operator:acted");
          const told = lines.filter((line) => JSON.stringify(line).includes(by));
          if (told.length >= commands.length) {
            must(
              told.every((line) => /@/.test(JSON.stringify(line))),
              "a line does not say from where",
            );
            return;
          }
          must(performance.now() < until, `${told.length} of ${commands.length} are on record`);
          await sleep(50);
        }
      },
    },
  ],
};
