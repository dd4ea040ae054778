/** A request arrives as it was sent, or not at all. */
import { must, mustAnswer, type Attack, type AttackCase } from "../attack.ts";
import { ask, askJson, type Reply } from "../http.ts";
import { LANE, POOL } from "../pools.ts";
import type { Site } from "../site.ts";

const TYPE = { "content-type": "application/json" };
const WHERE = `"pool":"${POOL}","lane":"${LANE}"`;

function nested(depth: number): string {
  return `${"[".repeat(depth)}1${"]".repeat(depth)}`;
}

function invoke(body: string): string {
  return `{${WHERE},"kind":"invoke","maxTokens":1,"body":{"a":${body}}}`;
}

/** Bodies that another program could read as something else, or choke on. */
const REFUSED: Readonly<Record<string, string | Uint8Array>> = {
  "65 levels": invoke(nested(65)),
  "100,000 levels": invoke(nested(100_000)),
  "a million levels": "[".repeat(1_000_000),
  "levels of objects": invoke(`${'{"a":'.repeat(5_000)}1${"}".repeat(5_000)}`),
  __proto__: invoke('{"__proto__":{"admin":true}}'),
  "__proto__ on top": `{${WHERE},"prompt":"x","__proto__":{"maxTokens":5}}`,
  "an escaped __proto__": invoke('{"\\u005f_proto__":{"admin":true}}'),
  "constructor.prototype": invoke('{"constructor":{"prototype":{"admin":true}}}'),
  "invalid UTF-8": Buffer.from(`{${WHERE},"prompt":"a\xff"}`, "latin1"),
  "overlong UTF-8": Buffer.from(`{${WHERE},"prompt":"\xc0\xaf"}`, "latin1"),
  "a surrogate in UTF-8": Buffer.from(`{${WHERE},"prompt":"\xed\xa0\x80"}`, "latin1"),
  "half a pair": `{${WHERE},"prompt":"\\ud800"}`,
  "the other half": `{${WHERE},"prompt":"\\udc00 x"}`,
  "half a pair in a name": invoke('{"\\ud800":1}'),
  "half a pair deep inside": invoke('[[["\\ud83d"]]]'),
  "a number beyond doubles": invoke("1e400"),
  "a whole number beyond doubles": invoke("12345678901234567890"),
  "a million digits": invoke("1".repeat(1_000_000)),
  NaN: invoke("NaN"),
  "a comment": `{${WHERE},"prompt":"x"/**/}`,
  "two values": `{${WHERE},"prompt":"x"}{}`,
  "a list": `[{${WHERE},"prompt":"x"}]`,
  null: "null",
  "a text": '"x"',
  nothing: "",
  "UTF-16": Buffer.from(`{${WHERE},"prompt":"x"}`, "utf16le"),
  "a raw control character": `{${WHERE},"prompt":"a\u0000"}`,
  "unknown fields": `{${WHERE},"prompt":"x","admin":true}`,
  "a tenant": `{${WHERE},"prompt":"x","tenant":"other"}`,
  "an id": `{${WHERE},"prompt":"x","id":"${POOL}.${LANE}.01arz3ndektsv4rrffq69g5fav"}`,
  "a pool of every object": `{"pool":"constructor","lane":"${LANE}","prompt":"x"}`,
  "a lane of every object": `{"pool":"${POOL}","lane":"constructor","prompt":"x"}`,
  "a lane with signs of Redis": `{"pool":"${POOL}","lane":"standard}:*","prompt":"x"}`,
  "a text for a number": `{${WHERE},"prompt":"x","maxTokens":"5"}`,
  "a list for a text": `{${WHERE},"prompt":["x"]}`,
  "an object for a text": `{${WHERE},"prompt":{"toString":"x"}}`,
  "a negative number": `{${WHERE},"prompt":"x","maxTokens":-1}`,
  "a class with signs": `{${WHERE},"prompt":"x","promptClass":"a:b*"}`,
};

const byBody = Object.entries(REFUSED).map(([name, body]): Attack => ({
  name,
  holds: `A body with ${name} is refused as the caller's mistake, and is not repeated in the answer`,
  run: async (site) => {
    const { url } = await site.api();
    const reply = await ask(url, "/v1/jobs", { method: "POST", headers: TYPE, body });
    mustAnswer(reply, [400, 404, 413], name);
    must(reply.text.length < 2_000, `an answer of ${reply.text.length} bytes`);
  },
}));

const request = (text: string): string =>
  `{"messages":[{"role":"user","content":[{"text":"${text}"}]}],"maxTokens":5}`;

async function edited(
  site: Site,
  text: string | Uint8Array,
  type: string,
  path: string,
  method: string,
): Promise<Reply> {
  const { url } = await site.board("local");
  return ask(url, path, { method, headers: { "content-type": type }, body: text });
}

export const bodies: AttackCase = {
  name: "bodies",
  trials: [
    ...byBody,
    {
      name: "types",
      holds: "What is not UTF-8 JSON by its type is refused",
      run: async (site) => {
        const { url } = await site.api();
        const body = `{${WHERE},"prompt":"x"}`;
        const types = [
          "application/json; charset=utf-16",
          "application/json; charset=utf-7",
          "application/json; charset=latin1",
          "application/jsonp",
          "text/json",
          "application/x-www-form-urlencoded",
          "multipart/form-data; boundary=application/json",
          "text/plain; application/json",
          "application/json, text/plain",
          "*/*",
        ];
        for (const type of types) {
          const reply = await ask(url, "/v1/jobs", {
            method: "POST",
            headers: { "content-type": type },
            body,
          });
          mustAnswer(reply, [415], type);
        }
      },
    },
    {
      name: "prototypes stay",
      holds: "After all that, an object of the API has no field that nobody gave it",
      run: async (site) => {
        const { url } = await site.api();
        await ask(url, "/v1/pools/x?__proto__[admin]=1&constructor[prototype][admin]=1&a[__proto__][b]=1");
        const reply = await askJson(url, "/v1/jobs", { pool: POOL, lane: LANE, prompt: "plain" });
        mustAnswer(reply, [202], "a job");
        must(!/admin|maxTokens/.test(reply.text), reply.text);
      },
    },
    {
      name: "edits",
      holds:
        "An edited request is judged like one at the front door: deep, with __proto__, half a pair, or bytes that are no UTF-8",
      run: async (site) => {
        const errorClass = "EditedException";
        const id = await site.dead({ errorClass });
        const before = await site.revision(id);
        const form = "application/x-www-form-urlencoded";
        const letter = `/dead-letters/letter/${id}/edit`;
        const odd = [nested(100_000), '{"__proto__":{}}', request("\\ud800"), "null", "[]", "1e999"];
        for (const text of odd) {
          const fields = new URLSearchParams({ revision: before, request: text });
          mustAnswer(await edited(site, fields.toString(), form, letter, "POST"), [400], text.slice(0, 40));
        }
        const bytes = `revision=${before}&request=${encodeURIComponent(request("X")).replace("X", "%FF%FE")}`;
        mustAnswer(await edited(site, bytes, form, letter, "POST"), [400], "a form that is no UTF-8");
        must((await site.revision(id)) === before, "the letter has changed");
        const right = new URLSearchParams({ revision: before, request: request("a") }).toString();
        mustAnswer(await edited(site, right, form, letter, "POST"), [303], "the right edit");
      },
    },
    {
      name: "edits by JSON",
      holds: "Bull Board's own edit refuses bytes that are no UTF-8, depth and half a pair",
      run: async (site) => {
        const errorClass = "EditedByJsonException";
        const id = await site.dead({ errorClass });
        const before = await site.revision(id);
        await site.untilListed((await site.board("local")).url, errorClass, id);
        const path = `/api/queues/dead-letter.${errorClass}/${id}/update-data`;
        const data = (text: string): string =>
          `{"jobData":{"revision":"${before}","request":${request(text)}}}`;
        const tries: [Uint8Array, string][] = [
          [Buffer.from(data("a\xff"), "latin1"), "application/json"],
          [Buffer.from(`{"jobData":${nested(100_000)}}`), "application/json"],
          [Buffer.from(data("\\udc00")), "application/json"],
        ];
        for (const [bytes, type] of tries) {
          const reply = await edited(site, bytes, type, path, "PATCH");
          mustAnswer(reply, [400, 415], `${bytes.length} bytes of ${type}`);
        }
        must((await site.revision(id)) === before, "the letter has changed");
        const right = await edited(site, data("a"), "application/json", path, "PATCH");
        must(
          right.status < 300,
          `the right edit is answered ${right.status}, so this proves nothing: ${right.text}`,
        );
      },
    },
  ],
};
