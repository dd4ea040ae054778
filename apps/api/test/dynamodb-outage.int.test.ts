/** DynamoDB is gone: whoever asks for what only the dead letters know hears its name, and everything else goes on. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startDynamoDb } from "@sluice/services";
import { expect, inject, onTestFinished, test } from "vitest";
import { z } from "zod";
import { jobData, startApi } from "./given.ts";

test("a 503 names DynamoDB, and not the queue", async () => {
  const folder = await mkdtemp(join(tmpdir(), "sluice-test-"));
  onTestFinished(async () => rm(folder, { recursive: true, force: true }));
  const dynamoDb = await startDynamoDb({ dataDir: folder });
  onTestFinished(async () => dynamoDb.stop());
  await using api = await startApi({ redisUrl: inject("redisUrl"), dynamoDbUrl: dynamoDb.url });
  await dynamoDb.kill();

  const { id } = await jobData();
  for (const path of [`/v1/jobs/${id}`, `/v1/jobs/${id}/explain`, `/v1/jobs/${id}/stream`]) {
    const { status, headers, body } = await api.get(path);
    expect([path, status, body]).toEqual([
      path,
      503,
      {
        error: {
          code: "unavailable",
          message: "Sluice cannot reach DynamoDB, which has its dead letters, now. Send the request again",
        },
      },
    ]);
    expect(headers.has("retry-after")).toBe(true);
  }
  const accepted = await api.post({ pool: "claude", lane: "critical", prompt: "Hi" });
  expect(accepted.status).toBe(202);
  const of = z.object({ id: z.string() }).parse(accepted.body);
  expect((await api.get(`/v1/jobs/${of.id}`)).body).toMatchObject({ state: "waiting" });
});
