/**
 * Starts the real services once for the whole integration project. Only `TEST_REDIS_URL` and
 * `TEST_DYNAMODB_URL` replace them: `REDIS_URL` may point at something that matters.
 */
import { fileURLToPath } from "node:url";
import type { TestProject } from "vitest/node";
import { startServices } from "../src/index.ts";

declare module "vitest" {
  interface ProvidedContext {
    redisUrl: string;
    dynamoDbUrl: string;
    simulatorUrl: string;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const services = await startServices({
    dataDir: fileURLToPath(new URL("../../../.sluice", import.meta.url)),
    redisUrl: process.env["TEST_REDIS_URL"],
    dynamoDbUrl: process.env["TEST_DYNAMODB_URL"],
    onProgress: (line) => process.stderr.write(`${line}\n`),
  });
  project.provide("redisUrl", services.redisUrl);
  project.provide("dynamoDbUrl", services.dynamoDbUrl);
  project.provide("simulatorUrl", services.simulatorUrl);
  return async () => services.stop();
}
