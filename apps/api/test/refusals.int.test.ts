/** Everything a caller can get wrong: 4xx, a sentence that says what is wrong and what to do, nothing queued. */
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { rawRequest, startApi, type RawRequest } from "./given.ts";

let api: Awaited<ReturnType<typeof startApi>>;

beforeAll(async () => {
  api = await startApi({ redisUrl: inject("redisUrl"), dynamoDbUrl: inject("dynamoDbUrl") });
});

afterAll(async () => {
  await api[Symbol.asyncDispose]();
});

const raw = async (request: RawRequest) => rawRequest(api.url, request);

const good = { pool: "claude", lane: "critical", prompt: "Why is the sky blue?" };
const { pool, lane } = good;
const mebibyte = "x".repeat(1024 * 1024);

interface Case {
  readonly title: string;
  /** Sent as it is when it is a text, else as JSON. */
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly status: number;
  readonly code: string;
  /** What the sentence must say. */
  readonly says: readonly string[];
}

const cases: readonly Case[] = [
  {
    title: "an unknown pool",
    body: { ...good, pool: "gpt" },
    status: 404,
    code: "unknown-pool",
    says: ["no pool 'gpt'", "Pools: claude, small, slow"],
  },
  {
    title: "a pool named like a property of every object",
    body: { ...good, pool: "constructor" },
    status: 404,
    code: "unknown-pool",
    says: ["no pool 'constructor'", "Pools: claude, small, slow"],
  },
  {
    title: "a pool that is no name at all",
    body: { ...good, pool: "Claude!" },
    status: 400,
    code: "invalid-request",
    says: ["pool: Expected 1 to 48 lower case letters, digits or inner hyphens"],
  },
  {
    title: "no pool",
    body: { lane, prompt: "Hi" },
    status: 400,
    code: "invalid-request",
    says: ["pool: is missing"],
  },
  {
    title: "an unknown lane",
    body: { ...good, lane: "urgent" },
    status: 404,
    code: "unknown-lane",
    says: ["'claude' has no lane 'urgent'", "Lanes: critical, bulk"],
  },
  {
    title: "an empty prompt",
    body: { ...good, prompt: "" },
    status: 400,
    code: "invalid-request",
    says: ["prompt: Expected a prompt, got empty text"],
  },
  {
    title: "a blank prompt",
    body: { ...good, prompt: " \n\t " },
    status: 400,
    code: "invalid-request",
    says: ["prompt: Expected a prompt, got empty text"],
  },
  {
    title: "a prompt that is no text",
    body: { ...good, prompt: 42 },
    status: 400,
    code: "invalid-request",
    says: ["prompt: Expected text, got a number"],
  },
  {
    title: "neither prompt nor messages",
    body: { pool, lane },
    status: 400,
    code: "invalid-request",
    says: ["Expected either `prompt` or `messages`"],
  },
  {
    title: "both prompt and messages",
    body: { ...good, messages: [{ role: "user", content: [{ text: "Hi" }] }] },
    status: 400,
    code: "invalid-request",
    says: ["Expected either `prompt` or `messages`"],
  },
  {
    title: "a conversation that the model would begin",
    body: { pool, lane, messages: [{ role: "assistant", content: [{ text: "Hi" }] }] },
    status: 400,
    code: "invalid-request",
    says: ["messages: Expected the first message to have role 'user'"],
  },
  {
    title: "a message without text",
    body: { pool, lane, messages: [{ role: "user", content: [{ text: "" }] }] },
    status: 400,
    code: "invalid-request",
    says: ["messages.0.content.0.text: Expected text, got an empty string"],
  },
  {
    title: "a prompt over the size limit",
    body: { ...good, prompt: mebibyte },
    status: 413,
    code: "prompt-too-large",
    says: ["more than the 1048576 allowed", "Shorten or split it"],
  },
  {
    title: "a prompt that is over the size limit in bytes and not in characters",
    body: { ...good, prompt: "€".repeat(400_000) },
    status: 413,
    code: "prompt-too-large",
    says: ["more than the 1048576 allowed", "Shorten or split it"],
  },
  {
    title: "a body that is not read to its end",
    body: { ...good, prompt: mebibyte.repeat(5) },
    status: 413,
    code: "prompt-too-large",
    says: ["The body is too large", "Shorten or split"],
  },
  {
    title: "a body that is not JSON",
    body: "{ pool: claude }",
    status: 400,
    code: "malformed-json",
    says: ["not JSON", "Send one JSON object"],
  },
  {
    title: "a JSON body that is no object",
    body: '"claude"',
    status: 400,
    code: "malformed-json",
    says: ["not JSON", "Send one JSON object"],
  },
  {
    title: "a list",
    body: "[]",
    status: 400,
    code: "invalid-request",
    says: ["Expected an object, got a list"],
  },
  {
    title: "a list with an idempotency key",
    body: [good],
    headers: { "idempotency-key": "list" },
    status: 400,
    code: "invalid-request",
    says: ["Expected an object, got a list"],
  },
  {
    title: "another content type",
    body: JSON.stringify(good),
    headers: { "content-type": "text/plain" },
    status: 415,
    code: "unsupported-media-type",
    says: ["Send JSON with content-type: application/json"],
  },
  {
    title: "a form",
    body: "pool=claude&lane=critical&prompt=Hi",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    status: 415,
    code: "unsupported-media-type",
    says: ["Send JSON with content-type: application/json"],
  },
  {
    title: "JSON in an unknown character set",
    body: JSON.stringify(good),
    headers: { "content-type": "application/json; charset=klingon" },
    status: 415,
    code: "malformed-body",
    says: ["Send UTF-8 JSON"],
  },
  {
    title: "a body that is not compressed as it says",
    body: JSON.stringify(good),
    headers: { "content-encoding": "gzip" },
    status: 400,
    code: "malformed-body",
    says: ["The body cannot be read"],
  },
  {
    title: "a job that costs more than the pool's whole quota",
    body: { ...good, pool: "small", prompt: "word ".repeat(2_000) },
    status: 422,
    code: "cost-exceeds-quota",
    says: ["at most 2000 tokens", "shorten the prompt, lower `max_tokens` or raise the quota"],
  },
  {
    title: "`maxTokens` above what the model writes",
    body: { ...good, maxTokens: 8_193 },
    status: 422,
    code: "max-tokens-too-large",
    says: ["`maxTokens` to be at most 8192", "got 8193"],
  },
  {
    title: "`maxTokens` of 0",
    body: { ...good, maxTokens: 0 },
    status: 400,
    code: "invalid-request",
    says: ["maxTokens: "],
  },
  {
    title: "a deadline beyond the end of time",
    body: { ...good, deadlineMs: Number.MAX_SAFE_INTEGER },
    status: 400,
    code: "invalid-request",
    says: ["deadlineMs: "],
  },
  {
    title: "an unknown field",
    body: { ...good, max_tokens: 10, model: "claude" },
    status: 400,
    code: "invalid-request",
    says: ["There is no field `max_tokens`, `model` here"],
  },
  {
    title: "several wrong fields at once",
    body: { pool: "", lane, prompt: "", temperature: 3 },
    status: 400,
    code: "invalid-request",
    says: ["pool: ", "prompt: ", "temperature: "],
  },
  {
    title: "no lane",
    body: { pool, prompt: "Hi" },
    status: 400,
    code: "invalid-request",
    says: ["lane: is missing"],
  },
  {
    title: "an unknown kind",
    body: { ...good, kind: "poem" },
    status: 400,
    code: "invalid-request",
    says: ["kind: Expected one of converse, stream, invoke, async"],
  },
  {
    title: "an async job where no place for its answer is listed",
    body: { pool, lane, kind: "async", modelInput: {}, outputS3Uri: "s3://somebody-elses/bucket" },
    status: 422,
    code: "output-not-allowed",
    says: ["takes no `async` jobs", "asyncOutputs"],
  },
  ...(
    [
      [
        "lists in lists",
        `{"kind":"invoke","pool":"claude","lane":"bulk","maxTokens":1,"body":{"a":${"[".repeat(65)}${"]".repeat(65)}}}`,
        "at most 64 levels",
      ],
      [
        "a hundred thousand lists in lists",
        `${"[".repeat(100_000)}${"]".repeat(100_000)}`,
        "at most 64 levels",
      ],
      ["objects in objects", `${'{"a":'.repeat(10_000)}1${"}".repeat(10_000)}`, "at most 64 levels"],
      [
        "a way to the prototype",
        `{"pool":"claude","lane":"bulk","prompt":"Hi","__proto__":{"lane":"critical"}}`,
        "`__proto__`",
      ],
      [
        "a way to it through the constructor",
        `{"kind":"invoke","pool":"claude","lane":"bulk","maxTokens":1,"body":{"constructor":{"prototype":{"a":1}}}}`,
        "`constructor`",
      ],
      [
        "half of a character in the prompt",
        String.raw`{"pool":"claude","lane":"bulk","prompt":"Hi \ud83d"}`,
        "half of a surrogate pair",
      ],
      [
        "half of a character in a key of the body",
        String.raw`{"kind":"invoke","pool":"claude","lane":"bulk","maxTokens":1,"body":{"\udc4d":1}}`,
        "half of a surrogate pair",
      ],
      [
        "a number that a double would change",
        `{"kind":"invoke","pool":"claude","lane":"bulk","maxTokens":1,"body":{"seed":12345678901234567890}}`,
        "a double can hold",
      ],
      ...["9007199254740993.0", "12345678901234567e1", "1e-400"].map(
        (seed) =>
          [
            `the number ${seed}`,
            `{"kind":"invoke","pool":"claude","lane":"bulk","maxTokens":1,"body":{"seed":${seed}}}`,
            "a double can hold",
          ] as const,
      ),
      [
        "two idempotency keys",
        `{"idempotencyKey":"one","pool":"claude","lane":"bulk","prompt":"Hi","idempotencyKey":"two"}`,
        "each key of an object once",
      ],
      [
        "a number beyond all doubles",
        `{"kind":"invoke","pool":"claude","lane":"bulk","maxTokens":1,"body":{"seed":1e999}}`,
        "Expected numbers",
      ],
    ] as const
  ).map(([title, body, says]) => ({ title, body, status: 400, code: "invalid-request", says: [says] })),
  {
    title: "JSON in UTF-16",
    body: JSON.stringify(good),
    headers: { "content-type": "application/json; charset=utf-16" },
    status: 415,
    code: "malformed-body",
    says: ["Send UTF-8 JSON"],
  },
  {
    title: "a key in the header and another in the body",
    body: { ...good, idempotencyKey: "body" },
    headers: { "idempotency-key": "header" },
    status: 400,
    code: "invalid-request",
    says: ["got two keys"],
  },
  {
    title: "an idempotency key that is too long",
    body: good,
    headers: { "idempotency-key": "k".repeat(257) },
    status: 400,
    code: "invalid-request",
    says: ["idempotencyKey: ", "256"],
  },
];

describe("POST /v1/jobs refuses", () => {
  test.each(cases)("$title", async ({ body, headers, status, code, says }) => {
    const before = await api.everythingInRedis();
    const reply = await api.post(body, headers);
    expect(reply.body).toEqual({ error: { code, message: expect.any(String) } });
    expect(reply.status).toBe(status);
    for (const words of says)
      expect(JSON.stringify(reply.body)).toContain(JSON.stringify(words).slice(1, -1));
    expect(await api.everythingInRedis()).toEqual(before);
  });

  test("bytes that are no UTF-8, rather than putting others in their place", async () => {
    const before = await api.everythingInRedis();
    const [start = "", end = ""] = JSON.stringify({ ...good, prompt: "Caf|" }).split("|");
    for (const bytes of [[0xe9], [0xed, 0xa0, 0xbd], [0xc0, 0xaf], [0xf0, 0x9f]]) {
      const response = await fetch(`${api.url}/v1/jobs`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: Buffer.concat([Buffer.from(start), Buffer.from(bytes), Buffer.from(end)]),
      });
      expect([response.status, await response.json()]).toEqual([
        400,
        { error: { code: "malformed-body", message: "The body is not UTF-8. Send UTF-8 JSON" } },
      ]);
    }
    expect(await api.everythingInRedis()).toEqual(before);
  });

  test("two idempotency keys", async () => {
    const before = await api.everythingInRedis();
    const reply = await raw({
      path: "/v1/jobs",
      method: "POST",
      headers: { "content-type": "application/json", "idempotency-key": ["one", "two"] },
      body: JSON.stringify(good),
    });
    expect(reply).toMatchObject({ status: 400, body: { error: { code: "invalid-request" } } });
    expect(JSON.stringify(reply.body)).toContain("got several");
    expect(await api.everythingInRedis()).toEqual(before);
  });

  test("nothing at all", async () => {
    const before = await api.everythingInRedis();
    const response = await fetch(`${api.url}/v1/jobs`, { method: "POST" });
    expect(response.status).toBe(415);
    expect(await response.json()).toEqual({
      error: {
        code: "unsupported-media-type",
        message: "Send JSON with content-type: application/json",
      },
    });
    expect(await api.everythingInRedis()).toEqual(before);
  });

  test("an idempotency key with another body", async () => {
    const headers = { "idempotency-key": "conflict" };
    const first = await api.post(good, headers);
    const before = await api.everythingInRedis();
    const second = await api.post({ ...good, prompt: "Why is grass green?" }, headers);
    expect(second.status).toBe(422);
    expect(second.body).toEqual({
      error: {
        code: "idempotency-conflict",
        message: "This idempotency key was used for another request. Use a new key for a new request",
      },
    });
    // Whoever guesses a key learns of no job.
    expect(JSON.stringify(second.body)).not.toContain(String(Reflect.get(Object(first.body), "id")));
    expect(await api.everythingInRedis()).toEqual(before);
  });

  test("a prompt is not repeated in a refusal", async () => {
    const reply = await api.post({ ...good, prompt: ["Zuckerwatte"], lane: "urgent" });
    expect(reply.status).toBe(400);
    expect(JSON.stringify(reply.body)).not.toContain("Zuckerwatte");
  });
});

test.each([
  ["GET", "/v1/jobs", 404],
  ["DELETE", "/v1/jobs/claude.critical.x", 404],
  ["GET", "/v2/jobs", 404],
  ["GET", "/v1/jobs/%E0%A4%A", 400],
])("%s %s is answered in JSON", async (method, path, status) => {
  const response = await fetch(`${api.url}${path}`, { method });
  expect(response.status).toBe(status);
  expect(await response.json()).toEqual({ error: { code: expect.any(String), message: expect.any(String) } });
});
