/** `pnpm chaos <scenario>`: faults on real processes. Exit code 0 only when nothing was lost and both sides agree. */
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { z } from "zod";
import { runJobs } from "./jobs/scenario.ts";

const USAGE = `pnpm chaos jobs [--jobs 500] [--seed 1] [--timeout <seconds, 240>] [--json]
  jobs  every kind of call with every fault, mixed by the seed, over two workers`;

const optionsSchema = z.object({
  jobs: z.coerce.number().int().min(1).max(50_000).default(500),
  seed: z.coerce.number().int().nonnegative().default(1),
  timeout: z.coerce.number().int().min(1).default(240),
  json: z.boolean().default(false),
});

const print = (line: string): void => void process.stdout.write(`${line}\n`);

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    jobs: { type: "string" },
    seed: { type: "string" },
    timeout: { type: "string" },
    json: { type: "boolean" },
  },
});
const options = optionsSchema.safeParse(values);
if (positionals[0] !== "jobs" || !options.success) {
  print(options.success ? USAGE : `${z.prettifyError(options.error)}\n${USAGE}`);
  process.exitCode = positionals.length > 0 ? 1 : 0;
} else {
  const { jobs, seed, timeout, json } = options.data;
  const { problems, ...figures } = await runJobs({
    jobs,
    seed,
    timeoutMs: timeout * 1_000,
    dataDir: fileURLToPath(new URL("../../.sluice", import.meta.url)),
    redisUrl: process.env["TEST_REDIS_URL"],
    dynamoDbUrl: process.env["TEST_DYNAMODB_URL"],
    onProgress: print,
  });
  for (const problem of problems) print(problem);
  if (!json)
    for (const [name, figure] of Object.entries(figures)) print(`${name}  ${JSON.stringify(figure)}`);
  else print(JSON.stringify(figures));
  process.exitCode = figures.lost === 0 && figures.disagreements === 0 ? 0 : 1;
}
