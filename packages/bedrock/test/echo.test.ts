/** What an error message may say of the request it is about: nothing that the caller wrote. */
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { createBedrock, safeMessage, withoutEcho } from "../src/index.ts";
import { sendError, startEndpoint } from "./endpoint.ts";

const SECRET = "Patient Kurpfalz has diabetes since 1987";
const request = {
  messages: [{ role: "user", content: [{ text: `Summarise this: ${SECRET}, and be brief.` }] }],
  maxTokens: 4096,
};

test.each([
  [
    `Malformed input request: expected type: Number, found: ${SECRET}`,
    "Malformed input request: expected type: Number, found: …",
  ],
  ["Input is not valid: Summarise this: Patient Kurpfalz", "Input is not valid: …"],
  ["Stop sequence Kurpfalz is not allowed", "Stop sequence … is not allowed"],
  ["text=patient+kurpfalz&max=10", "text=…&max=10"],
  ["unknown word KURPFALZ at position 31", "unknown word … at position 31"],
  ["The number 1987 is too large, at most 100", "The number … is too large, at most 100"],
  ["Cannot read Summarise this: Patient Kurpf…", "Cannot read …"],
  ["Überweisung 患者は糖尿病です failed", "… failed"],
])("%s", (message, safe) => {
  expect(withoutEcho(message, request)).toBe(safe);
});

test.each([
  "Too many tokens, please wait before trying again.",
  "The maximum tokens you requested exceeds the model limit of 8192. Try again with a maximum tokens value that is lower.",
  "input length and `max_tokens` exceed context limit: 200145 + 8192 > 204698",
  "Invocation of model ID anthropic.claude-x-v1:0 with on-demand throughput isn't supported. Retry with a profile.",
  "Input is too long for requested model.",
])("'%s' stays as it is, whatever is asked about limits and models", (message) => {
  const text = "Is the input too long for the model? I have too many tokens, and wait for the maximum.";
  expect(withoutEcho(message, { messages: [{ role: "user", content: [{ text }] }] })).toBe(message);
});

test("keys and values of a model's own body are the caller's too", () => {
  const body = { "patient-name": "Zuckerwatte", image: "s3://klinikum-bucket/scan-4711.png" };
  const message = "required key patient-name must be URI, got s3://klinikum-bucket/scan-4711.png";
  const safe = withoutEcho(message, { body });
  expect(safe).not.toMatch(/patient|klinikum|scan|4711/);
  expect(safe).toMatch(/^required key … must be URI, got s3:\/\/…/);
});

test("no run of words of a prompt comes through, wherever it stands and however it is cut", () => {
  const words = fc.array(fc.stringMatching(/^[a-zäé]{3,12}[0-9]{0,3}$/), { minLength: 3, maxLength: 12 });
  fc.assert(
    fc.property(words, fc.nat(400), (prompt, cut) => {
      const text = prompt.map((word) => `x${word}`).join(" ");
      const message = `Input is not valid: found ${text} at position 3 of the message`.slice(0, 30 + cut);
      const safe = withoutEcho(safeMessage(message), { messages: [{ content: [{ text }] }] });
      for (const word of text.split(" ").filter((each) => message.includes(`${each} `))) {
        expect(safe.split(/[^\p{L}\p{N}]+/u)).not.toContain(word);
      }
    }),
  );
});

test("a call that fails over the wire tells nothing of its request, of every kind", async () => {
  const said = { message: `Malformed input request: found ${SECRET}, expected a number` };
  await using server = await startEndpoint((response) =>
    sendError(response, 400, "ValidationException", said),
  );
  const bedrock = createBedrock({
    region: "us-east-1",
    endpoint: server.url,
    credentials: async () => ({ accessKeyId: "a", secretAccessKey: "b" }),
    maxConnections: 4,
    clock: Date.now,
  });
  const call = { model: "m", jobId: "j", timeoutMs: 10_000, signal: new AbortController().signal };
  const native = { body: { prompt: SECRET }, maxTokens: 10 };
  const results = [
    await bedrock.converse({ ...call, request: converse }),
    await bedrock.stream({ ...call, request: converse, onText: () => {} }),
    await bedrock.invoke({ ...call, request: { ...native, stream: false } }),
    await bedrock.invoke({ ...call, request: { ...native, stream: true } }),
  ];
  bedrock.close();
  for (const result of results) {
    expect(result).toMatchObject({
      type: "failed",
      failure: { message: "Malformed input request: found …, expected a number" },
    });
  }
});

const converse = {
  messages: [{ role: "user" as const, content: [{ text: SECRET }] }],
  maxTokens: 10,
};
