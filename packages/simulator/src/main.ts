#!/usr/bin/env node
/** The simulator as a process: one JSON line with its URL on stdout, then silence until it is told to end. */
import { readFileSync } from "node:fs";
import process from "node:process";
import { Command, InvalidArgumentError } from "commander";
import { assertNode, tellUncaught } from "@sluice/process";
import { z } from "zod";
import { faultRuleSchema } from "./faults/rule.ts";
import { modelTableSchema } from "./models/model.ts";
import { start } from "./simulator.ts";

function number(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value) || value < 0) {
    throw new InvalidArgumentError(`Expected a number of 0 or more, got "${text}".`);
  }
  return value;
}

function readJsonFile<T>(schema: z.ZodType<T>, path: string): T {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    throw new InvalidArgumentError(`Expected ${path} to be a readable JSON file: ${String(error)}.`);
  }
  const result = schema.safeParse(value);
  if (!result.success) throw new InvalidArgumentError(`${path}:\n${z.prettifyError(result.error)}`);
  return result.data;
}

interface Flags {
  port: number;
  host: string;
  allowedHosts?: string[];
  models?: z.infer<typeof modelTableSchema>;
  faults?: z.infer<typeof faultRuleSchema>[];
  tokensPerDay?: number;
  region: string;
  timeScale: number;
  seed: number;
  exitWithParent?: true;
}

const command = new Command("sluice-simulator")
  .description(
    "Amazon Bedrock Runtime on loopback: HTTP/1.1 and HTTP/2 on one port, with quotas and scripted faults.\n" +
      'Prints {"url":"http://…"} when it listens. Any credentials will do.',
  )
  .option("--port <number>", "TCP port; 0 takes a free one", number, 0)
  .option("--host <address>", "address to listen on", "127.0.0.1")
  .option(
    "--allowed-hosts <names>",
    "more names under which it is asked, separated by commas; * for any (default: loopback and its address)",
    (names: string) => names.split(/[\s,]+/).filter((name) => name !== ""),
  )
  .option("--models <file>", "JSON file: quotas and latencies by model id or pattern", (path) =>
    readJsonFile(modelTableSchema, path),
  )
  .option("--faults <file>", "JSON file: a list of scripted faults", (path) =>
    readJsonFile(z.array(faultRuleSchema), path),
  )
  .option("--tokens-per-day <number>", "daily quota per Region across all models (default: none)", number)
  .option("--region <name>", "Region of requests that carry an API key", "us-east-1")
  .option("--time-scale <factor>", "multiplies every wait; 0 answers at once", number, 1)
  .option("--seed <number>", "seeds latencies and fault rates", number, 1)
  .option("--exit-with-parent", "end when stdin closes, so that a crashed parent leaves nothing behind")
  .addHelpText(
    "after",
    `
Example:
  sluice-simulator --port 8088 --time-scale 0.1
  AWS_ENDPOINT_URL_BEDROCK_RUNTIME=http://127.0.0.1:8088 node your-program.js

Evidence: GET /_sim/stats, GET /_sim/calls?after=0&limit=1000, GET /_sim/peaks?windowMs=60000
Faults:   GET, POST and DELETE /_sim/faults, a header "x-sim-fault: ThrottlingException" on one request,
          or a marker in a prompt: [[sim:ThrottlingException]]`,
  );

tellUncaught("sluice-simulator");
try {
  assertNode();
} catch (error) {
  command.error(error instanceof Error ? error.message : String(error));
}
const { exitWithParent, ...flags } = command.parse().opts<Flags>();
const simulator = await start(flags).catch((error: unknown) => {
  return command.error(`Cannot listen on ${flags.host}:${flags.port}: ${String(error)}`);
});
process.stdout.write(`${JSON.stringify({ url: simulator.url })}\n`);

const end = (): void => {
  void simulator.stop().then(() => process.exit(0));
};
process.once("SIGTERM", end);
process.once("SIGINT", end);
if (exitWithParent === true) {
  process.stdin.resume();
  process.stdin.once("end", end);
  process.stdin.once("close", end);
}
