/** The environment of a program, parsed once in its `main.ts`. Libraries never read it. */
import { scrubText } from "@sluice/job";
import { z } from "zod";
import { MOST_CONNECTIONS } from "./listen.ts";
import { nameList, oneOf, wholeNumber, yesOrNo } from "./env-values.ts";

/** Variables that every program of a deployment shares. Spread into a program's own schema. */
export const deploymentEnv = {
  /** Path of the pools file. */
  SLUICE_POOLS: z.string("Expected the path of the pools file").min(1, "Expected the path of the pools file"),
  /** Separates installations that share one Redis. */
  SLUICE_NAMESPACE: z.string().default("sluice"),
  REDIS_URL: z.url({ protocol: /^rediss?$/, error: "Expected a URL such as redis://127.0.0.1:6379" }),
  SLUICE_DEAD_LETTER_TABLE: z.string().default("sluice-dead-letters"),
  LOG_LEVEL: oneOf(["trace", "debug", "info", "warn", "error", "silent"]).default("info"),
};

/** Variables of a program that listens. */
export function listenerEnv(defaultPort: number) {
  return {
    HOST: z.string().default("127.0.0.1"),
    /** 0 takes any free port. */
    PORT: wholeNumber({ min: 0, max: 65_535 }).default(defaultPort),
    /** Connections open at once, in this process. */
    SLUICE_MAX_CONNECTIONS: wholeNumber({ min: 1 }).default(MOST_CONNECTIONS),
    /** Nobody is asked who they are yet: any address but loopback needs this. */
    SLUICE_ALLOW_UNAUTHENTICATED: yesOrNo().default(false),
    /** Names under which callers reach it, beside loopback and the address it listens on. `*`: any. */
    SLUICE_ALLOWED_HOSTS: nameList().default([]),
  };
}

/** What a process finds in its environment. */
export type EnvSource = Readonly<Record<string, string | undefined>>;

/** @throws Error naming every variable that is missing or wrong, each on a line. */
export function parseEnv<Schema extends z.ZodType>(schema: Schema, source: EnvSource): z.output<Schema> {
  const parsed = schema.safeParse(source);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => {
    const name = issue.path.join(".");
    const isMissing = issue.code === "invalid_type" && source[name] === undefined;
    const message =
      isMissing && issue.message.startsWith("Invalid input") ? "Expected a value, found none" : issue.message;
    return `  ${name}: ${scrubText(message)}`;
  });
  throw new Error(
    `The environment is not complete:\n${problems.join("\n")}\ndocs/deployment.md has every variable`,
  );
}
