/**
 * First pages and counts of a table full of dead letters, by every index, on the embedded DynamoDB. Each figure is of
 * whole calls of the store: query, consistent reads and parsing.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createDynamoDbStore, ensureTable, type DeadLetterStore, type Grouping } from "@sluice/dead-letter";
import { newJobId } from "@sluice/job";
import { startDynamoDb } from "@sluice/services";
import { createRandom } from "../limits/random.ts";
import { table, type Bench } from "../scenario.ts";

const CLASSES = ["ValidationException", "ThrottlingException", "AccessDeniedException", "DeadlineExceeded"];
const LANES = ["critical", "standard", "bulk"];
const TENANTS = ["acme", "globex", "initech", "umbrella", "hooli"];

/** What the pages of the board ask for. */
const PER_PAGE = 25;
const ROUNDS = 60;
const COUNT_ROUNDS = 5;
const WRITERS = 24;

const T0 = Date.UTC(2026, 0, 1);

export interface DeadLetterBenchOptions {
  /** Letters in the table. */
  readonly records: number;
}

export function createDeadLetterBench({ records }: DeadLetterBenchOptions): Bench {
  return {
    name: "dead-letters",
    about: "first pages and counts of a table full of dead letters (--records, default 100000)",
    async run(print) {
      const folder = await mkdtemp(join(tmpdir(), "sluice-bench-"));
      await using dynamoDb = await startDynamoDb({ dataDir: folder });
      const tableName = "bench";
      const connection = {
        endpoint: dynamoDb.url,
        region: "us-east-1",
        credentials: { accessKeyId: "local", secretAccessKey: "local" },
        // Counting reads a whole partition of the index.
        requestTimeoutMs: 60_000,
      };
      await ensureTable({ tableName, ...connection });
      const store = createDynamoDbStore({ tableName, ...connection });
      const filledMs = await timed(async () => fill(store, records));
      print(`${records} letters put in ${Math.round(filledMs / 1_000)} s`);

      const groups: [string, Grouping][] = [
        ["class", { errorClass: "ThrottlingException" }],
        ["lane", { lane: { pool: "claude", lane: "standard" } }],
        ["tenant", { tenant: "acme" }],
      ];
      const pages: Record<string, number> = {};
      const counts: Record<string, number> = {};
      for (const [name, by] of groups) {
        const list = async () => store.list({ state: "dead", by, limit: PER_PAGE });
        const middle = T0 + (records / 2) * 1_000;
        const listUntil = async () => store.list({ state: "dead", by, limit: PER_PAGE, until: middle });
        pages[name] = p95([...(await times(ROUNDS, list)), ...(await times(ROUNDS, listUntil))]);
        counts[name] = p95(await times(COUNT_ROUNDS, async () => store.count({ state: "dead", by })));
      }
      store.close();
      await dynamoDb.stop();
      await rm(folder, { recursive: true, force: true });
      const rows = groups.map(([name]) => [name, ms(pages[name]), ms(counts[name])]);
      for (const line of table([["index", "first page p95 ms", "count p95 ms"], ...rows])) print(line);
      const firstPageMsP95 = Math.max(...Object.values(pages));
      return { records, firstPageMsP95, countMsP95: Math.max(...Object.values(counts)), pages, counts };
    },
  };
}

/** Letters a second apart, in classes, lanes and tenants by chance. */
async function fill(store: DeadLetterStore, records: number): Promise<void> {
  const chance = createRandom(7);
  const random = (): number => chance.next();
  const pick = (names: readonly string[]): string => names[Math.floor(random() * names.length)] ?? "";
  let at = 0;
  const writer = async (): Promise<void> => {
    for (let index = at++; index < records; index = at++) {
      const diedAt = T0 + index * 1_000;
      const lane = pick(LANES);
      await store.put({
        data: {
          version: 1,
          id: newJobId("claude", lane, diedAt, random),
          tenant: pick(TENANTS),
          pool: "claude",
          lane,
          kind: "converse",
          payload: { encoding: "json", json: PROMPT },
          acceptedAt: diedAt - 1_000,
          deadlineAt: diedAt,
          maxAttempts: 3,
        },
        failure: { kind: "terminal", errorClass: pick(CLASSES), message: "It could not be answered" },
        attempts: 3,
        stalls: 0,
        diedAt,
      });
    }
  };
  await Promise.all(Array.from({ length: WRITERS }, writer));
}

const PROMPT = JSON.stringify({
  messages: [{ role: "user", content: [{ text: "Summarise this report. ".repeat(20) }] }],
  maxTokens: 500,
});

async function times(rounds: number, work: () => Promise<unknown>): Promise<number[]> {
  const found: number[] = [];
  for (let round = 0; round < rounds; round += 1) found.push(await timed(work));
  return found;
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const before = performance.now();
  await work();
  return performance.now() - before;
}

function p95(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return Math.round((sorted[Math.ceil(sorted.length * 0.95) - 1] ?? Number.NaN) * 10) / 10;
}

function ms(value: number | undefined): string {
  return value === undefined ? "" : value.toFixed(1);
}
