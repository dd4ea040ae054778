/** Idempotency keys: one key is one job, whoever asks and however often, and says nothing of the jobs of others. */
import { must, mustAnswer, type AttackCase } from "../attack.ts";
import { ask, askJson, type Reply } from "../http.ts";
import { LANE, POOL } from "../pools.ts";

const KEYS = 40;
const CALLERS = 16;

function post(
  base: string,
  prompt: string,
  key: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Reply> {
  return askJson(base, "/v1/jobs", { pool: POOL, lane: LANE, prompt, idempotencyKey: key }, headers);
}

function idOf({ text }: Reply): string {
  return /"id":"([^"]+)"/.exec(text)?.[1] ?? "";
}

export const keys: AttackCase = {
  name: "keys",
  trials: [
    {
      name: "storm",
      holds: `${KEYS} keys from ${CALLERS} callers each make ${KEYS} jobs, each accepted once`,
      run: async (site) => {
        const { url } = await site.api();
        const before = (await site.installation.records.counts()).waiting;
        const names = Array.from({ length: KEYS }, (_, index) => `storm-${index}`);
        const replies = await Promise.all(
          names.flatMap((key) =>
            Array.from({ length: CALLERS }, async () => ({ key, reply: await post(url, `of ${key}`, key) })),
          ),
        );
        for (const { key, reply } of replies) mustAnswer(reply, [200, 202], key);
        const ids = new Map(names.map((key) => [key, new Set<string>()]));
        for (const { key, reply } of replies) ids.get(key)?.add(idOf(reply));
        must(
          [...ids.values()].every(({ size }) => size === 1),
          "a key has led to several jobs",
        );
        const accepted = replies.filter(({ reply }) => reply.status === 202).length;
        must(accepted === KEYS, `${accepted} were accepted`);
        const after = (await site.installation.records.counts()).waiting;
        must(after - before === KEYS, `${after - before} jobs are in the lane`);
      },
    },
    {
      name: "conflict",
      holds: "The key of another request is refused without the id of its job",
      run: async (site) => {
        const { url } = await site.api();
        const first = idOf(await post(url, "mine", "conflict"));
        const reply = await post(url, "theirs", "conflict");
        mustAnswer(reply, [422], "the same key");
        must(!reply.text.includes(first) && reply.headers.location === undefined, `it names ${first}`);
      },
    },
    {
      name: "two keys",
      holds:
        "Two keys in headers, or one there and another in the body, are refused; so is one that is empty",
      run: async (site) => {
        const { url } = await site.api();
        const body = JSON.stringify({ pool: POOL, lane: LANE, prompt: "two keys" });
        const twice = [
          "host",
          "localhost",
          "content-type",
          "application/json",
          "content-length",
          String(body.length),
        ];
        const headers = [...twice, "idempotency-key", "a", "Idempotency-Key", "b"];
        mustAnswer(await ask(url, "/v1/jobs", { method: "POST", headers, body }), [400], "two headers");
        const same = [...twice, "idempotency-key", "a", "Idempotency-Key", "a"];
        mustAnswer(
          await ask(url, "/v1/jobs", { method: "POST", headers: same, body }),
          [400],
          "the same twice",
        );
        mustAnswer(await post(url, "two keys", "a", { "idempotency-key": "b" }), [400], "header and body");
        mustAnswer(await post(url, "two keys", ""), [400], "empty");
        mustAnswer(await post(url, "two keys", "k".repeat(257)), [400], "257 characters");
      },
    },
    {
      name: "odd keys",
      holds: "Keys with the signs of Redis, of paths and of other alphabets are each a key of their own",
      run: async (site) => {
        const { url } = await site.api();
        const odd = [
          "*",
          "?",
          "[a-z]",
          "a:b",
          "{main}",
          "}{",
          "a\nb",
          "a\r\n",
          "\0",
          "../a",
          "__proto__",
          "ä",
          "a\u0308",
          "\u202e",
        ];
        const replies = await Promise.all(odd.map(async (key) => post(url, "odd", key)));
        replies.forEach((reply, index) => mustAnswer(reply, [202], JSON.stringify(odd[index])));
        must(new Set(replies.map(idOf)).size === odd.length, "two of them are one key");
      },
    },
  ],
};
