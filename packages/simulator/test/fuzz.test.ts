/** Whatever arrives is answered in the manner of the service; nothing stops the process or is a fault of ours. */
import { Agent, request } from "node:http";
import { type ClientHttp2Session, connect as connectHttp2 } from "node:http2";
import { connect } from "node:net";
import { once } from "node:events";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Simulator, start } from "../src/index.ts";
import { type Random, seeded } from "../src/random.ts";

const REQUESTS = 10_000;
const AT_ONCE = 32;

let simulator: Simulator;
const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });

beforeAll(async () => {
  simulator = await start({ timeScale: 0 });
});

afterAll(async () => {
  agent.destroy();
  await simulator.stop();
});

interface Sent {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

const SIGNED =
  "AWS4-HMAC-SHA256 Credential=AKID/20261122/us-east-1/bedrock/aws4_request, SignedHeaders=host, Signature=ab12";
const sonnet = "/model/us.anthropic.claude-sonnet-4-6-v1%3A0";
const messages = [{ role: "user", content: [{ text: "Name three rivers." }] }];
const claude = {
  anthropic_version: "bedrock-2023-05-31",
  max_tokens: 50,
  messages: [{ role: "user", content: "Name three rivers." }],
};

const valid: readonly (readonly [method: string, path: string, body: unknown])[] = [
  [
    "POST",
    `${sonnet}/converse`,
    { messages, inferenceConfig: { maxTokens: 50, temperature: 0.5, stopSequences: ["x"] } },
  ],
  [
    "POST",
    `${sonnet}/converse-stream`,
    { messages, system: [{ text: "Be brief." }], requestMetadata: { job: "1" } },
  ],
  ["POST", `${sonnet}/invoke`, claude],
  ["POST", `${sonnet}/invoke-with-response-stream`, claude],
  ["POST", "/model/us.amazon.nova-lite-v1%3A0/invoke", { messages, inferenceConfig: { maxTokens: 50 } }],
  ["POST", "/model/amazon.titan-embed-text-v2%3A0/invoke", { inputText: "a river", dimensions: 256 }],
  ["POST", "/model/cohere.embed-english-v3/invoke", { texts: ["a river"], input_type: "search_query" }],
  ["POST", `${sonnet}/count-tokens`, { input: { converse: { messages } } }],
  [
    "POST",
    `${sonnet}/count-tokens`,
    { input: { invokeModel: { body: Buffer.from(JSON.stringify(claude)).toString("base64") } } },
  ],
  [
    "POST",
    "/async-invoke",
    {
      modelId: "amazon.nova-reel-v1:0",
      modelInput: { text: "waves" },
      outputDataConfig: { s3OutputDataConfig: { s3Uri: "s3://bucket/prefix" } },
    },
  ],
  ["GET", "/async-invoke?maxResults=10&sortOrder=Ascending&statusEquals=Completed", ""],
  ["POST", "/guardrail/g/version/1/apply", { source: "INPUT", content: [{ text: { text: "Hello" } }] }],
  ["GET", "/_sim/calls?after=0&limit=10", ""],
  ["POST", "/_sim/models", { "acme.model": { tokensPerMinute: 5 } }],
];

const ODDITIES: readonly unknown[] = [
  null,
  -1,
  0,
  1e308,
  0.5,
  "",
  "\u0000",
  "😀".repeat(50),
  [],
  [[]],
  {},
  { text: {} },
  true,
  "__proto__",
  [null],
  "[[sim:nothing]]",
];

function pick<T>(from: readonly T[], random: Random): T {
  const [picked] = from.slice(Math.floor(random() * from.length));
  if (picked === undefined) throw new Error("Expected something to pick from.");
  return picked;
}

/** Puts something odd in a random place of a JSON value. */
function mutateValue(value: unknown, random: Random): unknown {
  if (typeof value !== "object" || value === null || random() < 0.15) return pick(ODDITIES, random);
  const entries = Object.entries(value);
  if (entries.length === 0) return pick(ODDITIES, random);
  const chosen = Math.floor(random() * entries.length);
  const mutated = entries.flatMap(([key, member], index): [string, unknown][] => {
    if (index !== chosen) return [[key, member]];
    return random() < 0.1 ? [] : [[key, mutateValue(member, random)]];
  });
  return Array.isArray(value) ? mutated.map(([, member]) => member) : Object.fromEntries(mutated);
}

/** Cuts, repeats or replaces a few characters. */
function mutateText(text: string, random: Random): string {
  const at = Math.floor(random() * text.length);
  const length = Math.floor(random() * 8);
  const filling = pick(["", "%", "%zz", "{", '"', "/", "\\u00", "..", text.slice(0, 20)], random);
  return text.slice(0, at) + filling + text.slice(at + length);
}

function mutate(random: Random): Sent {
  const [method, path, body] = pick(valid, random);
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const kind = random();
  const json = kind < 0.55 ? JSON.stringify(mutateValue(body, random)) : text;
  const odd = random();
  return {
    method: odd < 0.05 ? pick(["PUT", "DELETE", "HEAD", "PATCH", "OPTIONS", "GET"], random) : method,
    path:
      encodeURI(kind > 0.75 && kind < 0.9 ? mutateText(path, random) : path).replaceAll("%25", "%") || "/",
    headers:
      odd > 0.9
        ? pick(
            [{}, { authorization: "Bearer" }, { authorization: SIGNED.slice(0, 60) }, { authorization: "x" }],
            random,
          )
        : { authorization: SIGNED },
    body: kind >= 0.55 && kind < 0.75 ? mutateText(json, random) : json,
  };
}

interface Received {
  readonly status: number;
  readonly errorType: string | undefined;
  readonly body: string;
}

async function sendHttp1(sent: Sent): Promise<Received> {
  const { method, path, headers, body } = sent;
  const outgoing = request(simulator.url + (path.startsWith("/") ? path : `/${path}`), {
    method,
    headers: { ...headers, "content-length": Buffer.byteLength(body) },
    agent,
  });
  outgoing.end(body);
  const [response] = await once(outgoing, "response");
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk);
  return {
    status: response.statusCode,
    errorType: response.headers["x-amzn-errortype"],
    body: Buffer.concat(chunks).toString(),
  };
}

async function sendHttp2(session: ClientHttp2Session, sent: Sent): Promise<Received> {
  const { method, path, headers, body } = sent;
  // Some methods would end the request without a body.
  const stream = session.request(
    { ":method": method, ":path": path.startsWith("/") ? path : `/${path}`, ...headers },
    { endStream: false },
  );
  const response = once(stream, "response");
  stream.end(body);
  const [answered] = await response;
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return {
    status: answered[":status"],
    errorType: answered["x-amzn-errortype"],
    body: Buffer.concat(chunks).toString(),
  };
}

/** What is wrong with an answer; undefined when the service could have given it. */
function offence(sent: Sent, { status, errorType, body }: Received): string | undefined {
  if (status === 200) return undefined;
  const isJson = sent.method === "HEAD" || body.startsWith('{"message":');
  const isHonest = /^(?!Internal)[A-Za-z]+:http/.test(errorType ?? "");
  return isJson && isHonest ? undefined : `${status} ${errorType} ${body} to ${JSON.stringify(sent)}`;
}

interface Outcome {
  readonly statuses: readonly number[];
  readonly offences: readonly string[];
}

/** Sends so many mutated requests, several at once. */
async function bombard(requests: number, seed: number, sendOne: typeof sendHttp1): Promise<Outcome> {
  const random = seeded(seed);
  const statuses = new Set<number>();
  const offences: string[] = [];
  let left = requests;
  const sendSome = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      const sent = mutate(random);
      const received = await sendOne(sent);
      statuses.add(received.status);
      const wrong = offence(sent, received);
      if (wrong !== undefined) offences.push(wrong);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, sendSome));
  return { statuses: [...statuses].toSorted((one, other) => one - other), offences };
}

test(`${REQUESTS} mutated requests`, { timeout: 120_000 }, async () => {
  const { statuses, offences } = await bombard(REQUESTS, 20_261_122, sendHttp1);
  expect(offences).toEqual([]);
  expect(statuses).toEqual([200, 400, 403, 404]);
  const inFlight = Object.values(simulator.stats()).map((stats) => stats.inFlight);
  expect(Math.max(...inFlight)).toBe(0);
});

test("a thousand more over HTTP/2", { timeout: 60_000 }, async () => {
  const session = connectHttp2(simulator.url);
  const { statuses, offences } = await bombard(1_000, 7, (sent) => sendHttp2(session, sent));
  session.close();
  expect(offences).toEqual([]);
  expect(statuses).toEqual([200, 400, 403, 404]);
});

test("bytes that are no HTTP at all", { timeout: 30_000 }, async () => {
  const random = seeded(7);
  const port = Number(new URL(simulator.url).port);
  const talk = async (start_: string): Promise<void> => {
    const socket = connect(port, "127.0.0.1");
    socket.on("error", () => socket.destroy());
    const noise = Buffer.from(
      Array.from({ length: Math.ceil(random() * 500) }, () => Math.floor(random() * 256)),
    );
    socket.end(Buffer.concat([Buffer.from(start_), noise]));
    socket.resume();
    if (!socket.closed) await once(socket, "close").catch(() => undefined);
  };
  for (const beginning of [
    "",
    "P",
    "PRI",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "POST /model/x/converse HTTP/1.1\r\n",
  ]) {
    for (let attempt = 0; attempt < 40; attempt += 1) await talk(beginning);
  }
  expect((await fetch(`${simulator.url}/_sim/health`)).status).toBe(200);
});
