/**
 * What can go wrong while credentials are got, with the SDK's own providers against real files, a real STS and metadata
 * service of ours, and a real process. In a process of its own each: the SDK reads its environment once.
 */
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { z } from "zod";

vi.setConfig({ testTimeout: 60_000 });

const run = promisify(execFile);

const resultSchema = z.object({
  result: z.object({
    type: z.string(),
    rule: z.string().optional(),
    charge: z.string().optional(),
    failure: z.object({ kind: z.string(), errorClass: z.string(), message: z.string() }).optional(),
  }),
  requests: z.int(),
});

let folder = "";

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "sluice-identity-"));
});

/** They end with the last test: of tests that run at once, none knows which of them has asked for one. */
const servers: Server[] = [];

afterAll(async () => {
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
  await rm(folder, { recursive: true, force: true });
});

/** Makes one Converse call in a process that has this environment. */
async function callIn(env: Record<string, string>) {
  const program = new URL("fixtures/one-call.ts", import.meta.url).pathname;
  const { stdout } = await run(process.execPath, ["--conditions=@sluice/source", program], {
    env: {
      PATH: process.env["PATH"],
      AWS_CONFIG_FILE: join(folder, "none"),
      AWS_SHARED_CREDENTIALS_FILE: join(folder, "none"),
      AWS_EC2_METADATA_DISABLED: "true",
      ...env,
    },
  });
  return resultSchema.parse(JSON.parse(stdout));
}

async function file(name: string, text: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, text);
  return path;
}

/** A service that answers everything alike. Resolves to its URL. */
async function service(status: number, type: string, body: string): Promise<string> {
  const server = createServer((_, response) => {
    response.writeHead(status, { "content-type": type }).end(body);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  servers.push(server);
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("Expected a port");
  return `http://127.0.0.1:${address.port}`;
}

const STS_DENIES = `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>
<Code>AccessDenied</Code><Message>Not authorized to perform sts:AssumeRole</Message></Error></ErrorResponse>`;

const WEB_IDENTITY = { AWS_ROLE_ARN: "arn:aws:iam::111122223333:role/sluice", AWS_REGION: "us-east-1" };

describe("is no failure of the call, and nothing is sent", () => {
  const cases: readonly (readonly [
    what: string,
    env: () => Promise<Record<string, string>>,
    message: RegExp,
  ])[] = [
    ["there are none", async () => ({}), /Could not load credentials from any providers/],
    [
      "the token file is not there",
      async () => ({ ...WEB_IDENTITY, AWS_WEB_IDENTITY_TOKEN_FILE: join(folder, "no-token") }),
      /ENOENT/,
    ],
    [
      "STS denies the role",
      async () => ({
        ...WEB_IDENTITY,
        AWS_WEB_IDENTITY_TOKEN_FILE: await file("token", "a.b.c"),
        AWS_ENDPOINT_URL_STS: await service(403, "text/xml", STS_DENIES),
      }),
      /AccessDenied/,
    ],
    [
      "STS does not answer",
      async () => ({
        ...WEB_IDENTITY,
        AWS_WEB_IDENTITY_TOKEN_FILE: await file("token", "a.b.c"),
        AWS_ENDPOINT_URL_STS: "http://127.0.0.1:1",
      }),
      /ECONNREFUSED/,
    ],
    [
      "STS denies a role of a profile",
      async () => ({
        AWS_REGION: "us-east-1",
        AWS_PROFILE: "app",
        AWS_SHARED_CREDENTIALS_FILE: await file(
          "source",
          "[base]\naws_access_key_id = a\naws_secret_access_key = b\n" +
            "[app]\nrole_arn = arn:aws:iam::111122223333:role/sluice\nsource_profile = base\n",
        ),
        AWS_ENDPOINT_URL_STS: await service(403, "text/xml", STS_DENIES),
      }),
      /AccessDenied/,
    ],
    [
      "the metadata service refuses",
      async () => ({
        AWS_EC2_METADATA_DISABLED: "false",
        AWS_EC2_METADATA_SERVICE_ENDPOINT: "http://127.0.0.1:1",
      }),
      /Could not load credentials/,
    ],
    [
      "the metadata service is broken",
      async () => ({
        AWS_EC2_METADATA_DISABLED: "false",
        AWS_EC2_METADATA_SERVICE_ENDPOINT: await service(500, "text/plain", "no"),
      }),
      /Could not load credentials/,
    ],
    [
      "the container has no credentials",
      async () => ({ AWS_CONTAINER_CREDENTIALS_FULL_URI: await service(404, "text/plain", "no") }),
      /./,
    ],
    [
      "a process that should print them fails",
      async () => ({
        AWS_PROFILE: "app",
        AWS_CONFIG_FILE: await file("config-process", "[profile app]\ncredential_process = /bin/false\n"),
      }),
      /./,
    ],
    [
      "the session of the single sign-on is gone",
      async () => ({
        AWS_PROFILE: "app",
        AWS_CONFIG_FILE: await file(
          "config-sso",
          "[profile app]\nsso_session = s\nsso_account_id = 111122223333\nsso_role_name = r\n" +
            "[sso-session s]\nsso_region = us-east-1\nsso_start_url = https://example.com/start\n",
        ),
      }),
      /SSO/i,
    ],
    [
      "a token is preferred, and there is none",
      async () => ({ AWS_AUTH_SCHEME_PREFERENCE: "httpBearerAuth" }),
      /./,
    ],
  ];
  test.concurrent.each(cases)("%s", async (_, env, message) => {
    const { result, requests } = await callIn(await env());
    expect(result).toMatchObject({
      type: "failed",
      rule: "noCredentials",
      charge: "nothing",
      failure: {
        kind: "systemic",
        errorClass: expect.stringMatching(/^(?:Credentials|Token)ProviderError$/),
        message: expect.stringMatching(message),
      },
    });
    expect(requests).toBe(0);
  });
});
