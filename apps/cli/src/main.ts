#!/usr/bin/env node
/** The `sluice` command. */
import { Argument, Command, InvalidArgumentError, Option } from "commander";
import { deadLetterStateSchema } from "@sluice/dead-letter";
import { assertNode, tellUncaught } from "@sluice/process";
import { advise } from "./advise.ts";
import { BREAKER_ACTIONS, operateBreaker } from "./breaker.ts";
import { initDeadLetters } from "./dead-letters.ts";
import { dev } from "./dev/dev.ts";
import { explain } from "./explain.ts";
import { explaining } from "./help.ts";
import { listDeadLetters, showDeadLetter } from "./letters.ts";
import { parseActor } from "./operator.ts";
import { resetQuota, setQuota, showQuota } from "./quota.ts";
import { replayDeadLetters } from "./replay.ts";
import { fromEnv, parseTable } from "./store-env.ts";
import { tell } from "./terminal.ts";

function wholeNumber(min: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (Number.isInteger(value) && value >= min) return value;
    throw new InvalidArgumentError(`Expected a whole number of at least ${min}, got '${text}'.`);
  };
}

const program = explaining(new Command("sluice").description("A durable prompt queue for Amazon Bedrock"));

program
  .command("dev")
  .description(
    "run the whole system on this machine: Redis, DynamoDB, a Bedrock simulator, API, board and workers",
  )
  .option("--jobs <n>", "jobs to enqueue: one per README file found under node_modules", wholeNumber(0), 0)
  .option("--workers <n>", "worker processes", wholeNumber(1), 2)
  .option("--exit", "end when the jobs have drained; the default where there is no terminal", false)
  .option("--json", "print one JSON object with the results as the last line", false)
  .option("--redis", "use REDIS_URL even if it is not on this machine", false)
  .action(async (options: Parameters<typeof dev>[0]) => {
    process.exitCode = await dev(options);
  });

const JSON_FLAG = ["--json", "print JSON", false] as const;

const BY = [
  "--by <name>",
  "who does it, for those who wonder later (default: the user of this machine)",
  parseActor,
] as const;

const TABLE = [
  "--table <name>",
  "the table",
  parseTable,
  fromEnv("SLUICE_DEAD_LETTER_TABLE", "sluice-dead-letters"),
] as const;

const deadLetters = program.command("dead-letters").description("the dead letter store");
deadLetters
  .command("init")
  .description("create the DynamoDB table, or check that it is as it should be")
  .option(...TABLE)
  .option(...JSON_FLAG)
  .action(initDeadLetters);
deadLetters
  .command("list")
  .description("letters of a class, a lane or a tenant, newest death first")
  .option(...TABLE)
  .addOption(
    new Option("--state <state>", "in this state").choices(deadLetterStateSchema.options).default("dead"),
  )
  .option("--class <name>", "of this error class")
  .option("--lane <pool.lane>", "of this lane")
  .option("--tenant <name>", "of this tenant")
  .option("--limit <n>", "letters of a page", wholeNumber(1), 25)
  .option("--cursor <cursor>", "where the page before ended")
  .option(...JSON_FLAG)
  .action(listDeadLetters);
deadLetters
  .command("show <id>")
  .description("one letter with its history")
  .option(...TABLE)
  .option("--prompt", "with the text of its request", false)
  .option("--json", "print JSON, as it does in any case", false)
  .action(showDeadLetter);
deadLetters
  .command("replay [ids...]")
  .description("replay letters by id, or all dead ones that match, a few at a time")
  .option(...TABLE)
  .option("--class <name>", "of this error class")
  .option("--lane <pool.lane>", "of this lane")
  .option("--tenant <name>", "of this tenant")
  .option("--all", "of all classes", false)
  .option("--dry-run", "only say which", false)
  .option("--per-lane <n>", "replays that a lane holds at most", wholeNumber(1), 20)
  .option(...BY)
  .option(...JSON_FLAG)
  .action(replayDeadLetters);

const quota = program.command("quota").description("the quotas of a pool, shared by the whole fleet");
quota
  .command("show <pool>")
  .description(
    "levels, ceilings, breaker, calls in flight and lanes, as they are now; who has set what by hand",
  )
  .option(...JSON_FLAG)
  .action(showQuota);
quota
  .command("set <pool> <settings...>")
  .description("change quotas at run time, e.g. tokens-per-minute=2000000 requests-per-minute=none")
  .option("--yes", "also when it is far off the pools file: more than twice, less than half", false)
  .option(...BY)
  .option(...JSON_FLAG)
  .action(setQuota);
quota
  .command("reset <pool>")
  .description("take back what was set by hand: the quotas are those of the pools file again")
  .option(...BY)
  .option(...JSON_FLAG)
  .action(resetQuota);

program
  .command("breaker")
  .description("move a pool's breaker by hand, or end its parking after a daily quota")
  .argument("<pool>", "as in the pools file")
  .addArgument(new Argument("<action>", "what to do").choices(BREAKER_ACTIONS))
  .option("--for-seconds <n>", "with open: how long until it probes", wholeNumber(1), 60)
  .option(...BY)
  .option(...JSON_FLAG)
  .action(operateBreaker);

program
  .command("advise")
  .description("what calls reserve against what they use, by prompt class, and what maxTokens would do")
  .option(...JSON_FLAG)
  .action(advise);

program
  .command("explain <job-id>")
  .description("why a job is where it is, and when it will run")
  .option("--api <url>", "the API", fromEnv("SLUICE_API_URL", "http://127.0.0.1:3000"))
  .option(...JSON_FLAG)
  .action(explain);

tellUncaught("sluice");
try {
  assertNode();
  await program.parseAsync();
} catch (error) {
  tell(`sluice: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
