/** Whose credentials sign a call: a scope's profile, whatever else the environment offers. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, onTestFinished, test, vi } from "vitest";
import { createBedrock } from "../src/index.ts";
import { sendAnswer, startEndpoint } from "./endpoint.ts";

const KEYS = { ours: "AKIDOURS", theirs: "AKIDTHEIRS" };

afterEach(() => vi.unstubAllEnvs());

/** The access key that signed a call of a client with this profile. */
async function signer(profile?: string): Promise<string | undefined> {
  const endpoint = await startEndpoint((response) => sendAnswer(response));
  onTestFinished(() => endpoint[Symbol.asyncDispose]());
  const bedrock = createBedrock({
    region: "us-east-1",
    endpoint: endpoint.url,
    ...(profile === undefined ? {} : { profile }),
    maxConnections: 1,
    clock: Date.now,
  });
  onTestFinished(() => bedrock.close());
  await bedrock.converse({
    model: "us.amazon.nova-pro-v1:0",
    request: { messages: [{ role: "user", content: [{ text: "Hi" }] }], maxTokens: 5 },
    jobId: "nova.bulk.01",
    signal: new AbortController().signal,
    timeoutMs: 5_000,
  });
  return /Credential=(\w+)\//.exec(String(endpoint.headers[0]?.["authorization"]))?.[1];
}

test("each profile signs with its own credentials, and none of them with the environment's", async () => {
  const folder = await mkdtemp(join(tmpdir(), "sluice-profiles-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const file = join(folder, "credentials");
  const sections = Object.entries(KEYS).map(
    ([name, key]) => `[${name}]\naws_access_key_id = ${key}\naws_secret_access_key = secret\n`,
  );
  await writeFile(file, sections.join("\n"));
  vi.stubEnv("AWS_SHARED_CREDENTIALS_FILE", file);
  vi.stubEnv("AWS_CONFIG_FILE", join(folder, "none"));
  vi.stubEnv("AWS_ACCESS_KEY_ID", "AKIDENVIRONMENT");
  vi.stubEnv("AWS_SECRET_ACCESS_KEY", "secret");
  expect([await signer("ours"), await signer("theirs"), await signer()]).toEqual([
    KEYS.ours,
    KEYS.theirs,
    "AKIDENVIRONMENT",
  ]);
  // A bearer token is of one account only.
  vi.stubEnv("AWS_BEARER_TOKEN_BEDROCK", "token");
  expect(await signer("theirs")).toBe(KEYS.theirs);
});
