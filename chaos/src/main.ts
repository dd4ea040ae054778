/** `pnpm chaos <scenario>`: faults on real processes. Exit code 0 only when nothing was lost and both sides agree. */
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { z } from "zod";
import { runDeadLetters } from "./dead-letters/scenario.ts";
import { runJobs } from "./jobs/scenario.ts";

const USAGE = `pnpm chaos <scenario> [--jobs 500] [--seed 1] [--timeout <seconds, 240>] [--json]
  jobs          every kind of call with every fault, mixed by the seed, over two workers
  dead-letters  every job dies; movers, two operators and reconcilers crash at every step`;

const optionsSchema = z.object({
  jobs: z.coerce.number().int().min(1).max(50_000).default(500),
  seed: z.coerce.number().int().nonnegative().default(1),
  timeout: z.coerce.number().int().min(1).default(240),
  json: z.boolean().default(false),
});

/** What a scenario comes to. */
interface Verdict {
  readonly isGood: boolean;
  readonly problems: readonly string[];
  readonly figures: object;
}

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
const [scenario] = positionals;
if ((scenario !== "jobs" && scenario !== "dead-letters") || !options.success) {
  print(options.success ? USAGE : `${z.prettifyError(options.error)}\n${USAGE}`);
  process.exitCode = positionals.length > 0 ? 1 : 0;
} else {
  const { jobs, seed, timeout, json } = options.data;
  const common = {
    jobs,
    seed,
    timeoutMs: timeout * 1_000,
    dataDir: fileURLToPath(new URL("../../.sluice", import.meta.url)),
    redisUrl: process.env["TEST_REDIS_URL"],
    dynamoDbUrl: process.env["TEST_DYNAMODB_URL"],
    onProgress: print,
  };
  const { isGood, problems, figures } = await (scenario === "jobs" ? ofJobs() : ofDeadLetters());
  for (const problem of problems) print(problem);
  if (!json)
    for (const [name, figure] of Object.entries(figures)) print(`${name}  ${JSON.stringify(figure)}`);
  else print(JSON.stringify(figures));
  process.exitCode = isGood ? 0 : 1;

  async function ofJobs(): Promise<Verdict> {
    const { problems: found, ...rest } = await runJobs(common);
    return { isGood: rest.lost === 0 && rest.disagreements === 0, problems: found, figures: rest };
  }

  async function ofDeadLetters(): Promise<Verdict> {
    const report = await runDeadLetters(common);
    const { missing, duplicates, doubleReplays, leftInRedis } = report;
    const wrong = { missing, duplicates, doubleReplays, leftInRedis };
    const none = Object.values(wrong).every((count) => count === 0);
    return { isGood: none && report.dead === jobs, problems: [], figures: report };
  }
}
