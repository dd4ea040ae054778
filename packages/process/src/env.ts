/** The environment of a program, parsed once in its `main.ts`. Libraries never read it. */
import { scrubText } from "@sluice/job";
import { z } from "zod";
import { MOST_CONNECTIONS } from "./listen.ts";
import { endpointUrl, nameList, oneOf, textOf, wholeNumber, yesOrNo } from "./env-values.ts";

/** What the SDK of AWS reads by itself. Checked, so that a wrong one is told at the start, and by its name. */
const awsEnv = {
  AWS_REGION: textOf(/^[a-z]{2,}(?:-[a-z0-9]+)+$/, "an AWS Region such as us-east-1").optional(),
  /** For all services that have none of their own. */
  AWS_ENDPOINT_URL: endpointUrl().optional(),
  AWS_ENDPOINT_URL_DYNAMODB: endpointUrl().optional(),
  AWS_ENDPOINT_URL_BEDROCK_RUNTIME: endpointUrl().optional(),
};

/** Variables that every program of a deployment shares. Spread into a program's own schema. */
export const deploymentEnv = {
  /** Path of the pools file. */
  SLUICE_POOLS: z.string("Expected the path of the pools file").min(1, "Expected the path of the pools file"),
  /** Separates installations that share one Redis. */
  SLUICE_NAMESPACE: textOf(/^[a-z0-9][a-z0-9-]*$/, "lower case letters, digits and '-'").default("sluice"),
  REDIS_URL: z.url({ protocol: /^rediss?$/, error: "Expected a URL such as redis://127.0.0.1:6379" }),
  SLUICE_DEAD_LETTER_TABLE: textOf(
    /^(?:[\w.-]{3,255}|arn:[\w:/.-]{1,1020})$/,
    "the name of a DynamoDB table, 3 to 255 letters, digits, '_', '-' and '.'",
  ).default("sluice-dead-letters"),
  LOG_LEVEL: oneOf(["trace", "debug", "info", "warn", "error", "silent"]).default("info"),
  ...awsEnv,
};

/** Variables of a program that listens. */
export function listenerEnv(defaultPort: number) {
  return {
    HOST: z.string().default("127.0.0.1"),
    /** 0 takes any free port. */
    PORT: wholeNumber({ min: 0, max: 65_535 }).default(defaultPort),
    /** Connections open at once, in this process. */
    SLUICE_MAX_CONNECTIONS: wholeNumber({ min: 1, max: 1_000_000 }).default(MOST_CONNECTIONS),
    /** Nobody is asked who they are yet: any address but loopback needs this. */
    SLUICE_ALLOW_UNAUTHENTICATED: yesOrNo().default(false),
    /** Names under which callers reach it, beside loopback and the address it listens on. `*`: any. */
    SLUICE_ALLOWED_HOSTS: nameList().default([]),
  };
}

/** What a process finds in its environment. */
export type EnvSource = Readonly<Record<string, string | undefined>>;

/**
 * An empty variable counts as one that is not set: Compose files and unit files pass on what is not set as empty. Not the
 * Region: the SDK reads it by itself, and takes an empty one for the Region.
 * @throws Error naming every variable that is missing or wrong, each on a line.
 */
export function parseEnv<Schema extends z.ZodType>(schema: Schema, source: EnvSource): z.output<Schema> {
  const given = Object.fromEntries(
    Object.entries(source).filter(([name, value]) => value !== "" || name === "AWS_REGION"),
  );
  const parsed = schema.safeParse(given);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => {
    const name = issue.path.join(".");
    const isMissing = issue.code === "invalid_type" && given[name] === undefined;
    const message =
      isMissing && issue.message.startsWith("Invalid input") ? "Expected a value, found none" : issue.message;
    return `  ${name}: ${scrubText(message)}`;
  });
  throw new Error(
    `The environment is not as it should be:\n${problems.join("\n")}\ndocs/deployment.md has every variable`,
  );
}
