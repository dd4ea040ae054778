/** DynamoDB for a demo, a test or a bench: dynalite on disk, a process of its own on loopback. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { scrubText } from "@sluice/job";
import { z } from "zod";
import { ServicesError } from "./errors.ts";
import { startProgram } from "./program.ts";
import { runService, type RunningService } from "./service.ts";

export interface DynamoDbOptions {
  /** Absolute folder; gets `dynamodb/` (data) and `dynamodb.log`. Made if missing. Data that is there is kept. */
  readonly dataDir: string;
}

/**
 * Starts dynalite on a free port of 127.0.0.1. It takes any credentials and any Region.
 * It ends with this process at the latest, however this process ends.
 * @throws ServicesError EXITED, NOT_READY.
 */
export async function startDynamoDb(options: DynamoDbOptions): Promise<RunningService> {
  const folder = join(options.dataDir, "dynamodb");
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const spec = {
    name: "DynamoDB (dynalite)",
    entry: "dynalite-main",
    logFile: join(options.dataDir, "dynamodb.log"),
    ready: z.object({ url: z.url() }),
  } as const;
  return runService("dynalite", async (port) => {
    const program = await startProgram({ ...spec, args: [folder, String(port ?? 0)] }, 15_000);
    return { url: program.ready.url, pid: program.pid, program };
  });
}

/**
 * Makes sure that a DynamoDB given by URL answers, once and within 3 s. Any answer of the right kind will do,
 * so that real DynamoDB, which refuses this signature, counts. A real operation is asked for because DynamoDB
 * Local with an unwritable folder greets at `/` and hangs on everything else.
 * @throws ServicesError UNREACHABLE.
 */
export async function checkDynamoDb(url: string): Promise<void> {
  try {
    await fetch(url, {
      method: "POST",
      headers: {
        "content-type": "application/x-amz-json-1.0",
        "x-amz-target": "DynamoDB_20120810.ListTables",
        "x-amz-date": "20260101T000000Z",
        authorization:
          "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0",
      },
      body: "{}",
      signal: AbortSignal.timeout(3_000),
    }).then(async (response) => response.arrayBuffer());
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    const reason = cause instanceof Error ? cause.message : String(cause);
    const advice = "Start it, correct the URL, or leave the URL out and a DynamoDB is started for you.";
    throw new ServicesError(
      "UNREACHABLE",
      `Expected a DynamoDB at ${scrubText(url)} to answer, got: ${reason}. ${advice}`,
      {
        cause: error,
      },
    );
  }
}
