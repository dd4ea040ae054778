/** `pnpm bench <scenario> [--json]`: measures one thing and prints its figures. */
import { parseArgs } from "node:util";
import { tellUncaught, wholeNumber } from "@sluice/process";
import { createDeadLetterBench } from "./dead-letters/bench.ts";
import { createLimitsBench } from "./limits/bench.ts";
import type { Bench } from "./scenario.ts";
import { createSimulatorBench } from "./simulator/bench.ts";

tellUncaught("bench");

const print = (line: string): void => void process.stdout.write(`${line}\n`);
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: "boolean", default: false }, records: { type: "string", default: "100000" } },
});
const records = wholeNumber({ min: 1, max: 1_000_000 }).safeParse(values.records);
const benches: readonly Bench[] = [
  createLimitsBench({ redisUrl: process.env["TEST_REDIS_URL"] }),
  createSimulatorBench(),
  createDeadLetterBench({ records: records.data ?? 0 }),
];
const bench = benches.find(({ name }) => name === positionals[0]);
if (!records.success) {
  print(`--records: ${records.error.issues.map(({ message }) => message).join("; ")}`);
  process.exitCode = 1;
} else if (bench) {
  const figures = await bench.run(print);
  if (values.json) print(JSON.stringify(figures));
} else {
  print("pnpm bench <scenario> [--json]");
  for (const { name, about } of benches) print(`  ${name}  ${about}`);
  process.exitCode = positionals.length > 0 ? 1 : 0;
}
