/** `pnpm chaos <scenario>`: faults on real processes. The exit code is 0 only when everything held that should. */
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { tellUncaught, wholeNumber } from "@sluice/process";
import { z } from "zod";
import { attackCommand } from "./attack/command.ts";
import { blamelessCommand } from "./blameless/command.ts";
import type { CommandContext, Verdict } from "./command.ts";
import { deadLettersCommand } from "./dead-letters/command.ts";
import { fleetsCommand } from "./fleets/command.ts";
import { jobsCommand } from "./jobs/command.ts";
import { lanesCommand } from "./lanes/command.ts";
import { redisCommand } from "./redis/command.ts";
import { sporadicCommand } from "./sporadic/command.ts";

const USAGE = `pnpm chaos <scenario> [--seed 1] [--json]
  jobs          every kind of call with every fault, mixed by the seed, over two workers
                [--jobs 500] [--timeout <seconds, 240>]
  dead-letters  every job dies; movers, two operators and reconcilers crash at every step
                [--jobs 500] [--timeout <seconds, 240>]
  blameless     faults that no job is to blame for, shorter than the deadlines
                [--cases <name,…>] [--sizes 1,10,300] [--list]
  lanes         how one, two and three workers share the quota between two full lanes [--cases <tokens,…>] [--list]
  sporadic      a healthy model that fails now and then, and a storm of kills [--cases <name,…>] [--list]
  attack        what listens, attacked: strangers, other sites, large pages, floods, secrets [--cases <name,…>] [--list]
  fleets        wrong clocks, two versions, several pools files, what cannot be read [--cases <name,…>] [--list]
  redis         Redis full, failing over, emptied, rolled back, without a disk [--cases <name,…>] [--list]`;

const SCENARIOS: Readonly<Record<string, (context: CommandContext) => Promise<Verdict>>> = {
  jobs: jobsCommand,
  "dead-letters": deadLettersCommand,
  blameless: blamelessCommand,
  lanes: lanesCommand,
  sporadic: sporadicCommand,
  attack: attackCommand,
  fleets: fleetsCommand,
  redis: redisCommand,
};

const optionsSchema = z.object({
  jobs: wholeNumber({ min: 1, max: 50_000 }).default(500),
  seed: wholeNumber({ min: 0, max: 2 ** 32 }).default(1),
  timeout: wholeNumber({ min: 1, max: 2 ** 32 }).default(240),
  cases: z
    .string()
    .transform((names) => names.split(","))
    .optional(),
  sizes: z
    .string()
    .regex(/^\d{1,3}(,\d{1,3})*$/, "Expected numbers of jobs such as 1,10,300")
    .default("1,10,300")
    .transform((sizes) => sizes.split(",").map(Number)),
  list: z.boolean().default(false),
  json: z.boolean().default(false),
});

tellUncaught("chaos");

const print = (line: string): void => void process.stdout.write(`${line}\n`);

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    jobs: { type: "string" },
    seed: { type: "string" },
    timeout: { type: "string" },
    cases: { type: "string" },
    sizes: { type: "string" },
    list: { type: "boolean" },
    json: { type: "boolean" },
  },
});
const options = optionsSchema.safeParse(values);
const [name = ""] = positionals;
const scenario = Object.hasOwn(SCENARIOS, name) ? SCENARIOS[name] : undefined;
if (scenario === undefined || !options.success) {
  const wrong = options.error?.issues.map(({ path, message }) => `--${path.join(".")}: ${message}\n`) ?? [];
  print(`${wrong.join("")}${USAGE}`);
  process.exitCode = positionals.length > 0 ? 1 : 0;
} else {
  const { timeout, json, ...rest } = options.data;
  const { isGood, figures } = await scenario({
    ...rest,
    cases: rest.cases,
    timeoutMs: timeout * 1_000,
    dataDir: fileURLToPath(new URL("../../.sluice", import.meta.url)),
    redisUrl: process.env["TEST_REDIS_URL"],
    dynamoDbUrl: process.env["TEST_DYNAMODB_URL"],
    // Figures go to standard output, and nothing else does.
    onProgress: (line) => void process.stderr.write(`${line}\n`),
  });
  if (json) print(JSON.stringify(figures));
  else for (const [figure, value] of Object.entries(figures)) print(`${figure}  ${JSON.stringify(value)}`);
  process.exitCode = isGood ? 0 : 1;
}
