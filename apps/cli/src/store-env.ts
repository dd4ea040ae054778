/** What commands on dead letters find in the environment. */
import { deploymentEnv, parseEnv } from "@sluice/process";
import { InvalidArgumentError } from "commander";
import { z } from "zod";

const storeEnvSchema = z.object(deploymentEnv).pick({
  SLUICE_DEAD_LETTER_TABLE: true,
  AWS_REGION: true,
  AWS_ENDPOINT_URL: true,
  AWS_ENDPOINT_URL_DYNAMODB: true,
});

/** Looks before DynamoDB is asked, whose answers name no variable. @throws Error naming every variable that is wrong. */
export function checkStoreEnv(): void {
  parseEnv(storeEnvSchema, process.env);
}

/** Reads `--table`. @throws InvalidArgumentError for what is no table's name. */
export function parseTable(text: string): string {
  const parsed = deploymentEnv.SLUICE_DEAD_LETTER_TABLE.safeParse(text);
  if (parsed.success) return parsed.data;
  throw new InvalidArgumentError(`${parsed.error.issues.map(({ message }) => message).join(". ")}.`);
}

/** A variable, or what stands for one that is not set, or is empty. */
export function fromEnv(name: string, fallback: string): string {
  const value = process.env[name] ?? "";
  return value === "" ? fallback : value;
}
