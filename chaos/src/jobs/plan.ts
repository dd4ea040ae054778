/** From a seed to jobs: what is submitted, to which pool, and how each must end. Pure. */
import type { JobKind } from "@sluice/job";
import type { Expected } from "../check.ts";
import type { PoolsFile } from "../pools-file.ts";
import { seeded, shuffled } from "../random.ts";
import { HEALTHY, MAX_ATTEMPTS, ROWS, type Row } from "./rows.ts";

export interface PlannedJob {
  /** Body of `POST /v1/jobs`. */
  readonly submission: Readonly<Record<string, unknown>>;
  readonly kind: JobKind;
  readonly fault: string | undefined;
  readonly expected: Expected;
}

export interface Plan {
  readonly pools: PoolsFile;
  /** The simulator's models. */
  readonly models: Readonly<Record<string, unknown>>;
  readonly jobs: readonly PlannedJob[];
}

/** Share of jobs to which nothing happens. With much less of it the breakers would rightly open, for minutes. */
const HEALTHY_SHARE = 0.6;

/** Share of jobs that come first, all healthy: failures are quicker than answers, and would be all there is to count. */
const WARM_UP_SHARE = 0.2;

/** Jobs per pool of text. A pool has 100 retries in hand before it makes them wait for minutes. */
const JOBS_PER_POOL = 80;

const LANES = ["critical", "standard", "bulk"] as const;

/** Calls are short; this is for the hangs. Generous, since a slow machine must not look like one. */
const CALL_TIMEOUT = "8s";

const DEADLINE_MS = 160_000;

const TEXT_MODEL = "us.anthropic.claude-haiku-4-5-20251001-v1:0";
const ASYNC_MODEL = "amazon.nova-reel-v1:1";
/** Pools of their own; any model will do. */
const SPECIAL_MODEL = "us.amazon.nova-pro-v1:0";

/** Far more than all calls together: what is looked at here are failures, not the limiter. */
const TOKENS_PER_MINUTE = 100_000_000;

const MAX_TOKENS = 60;

/** Every row comes at least once when there are jobs enough; the rest is drawn. */
export function makePlan(jobs: number, seed: number): Plan {
  const random = seeded(seed);
  let round: readonly Row[] = [];
  const faulty = Math.round(jobs * (1 - HEALTHY_SHARE));
  const warmUp = Math.round(jobs * WARM_UP_SHARE);
  const rows = [
    ...Array.from({ length: warmUp }, () => HEALTHY),
    ...shuffled(
      Array.from({ length: jobs - warmUp }, (_, index) => (index < faulty ? nextRow(index) : HEALTHY)),
      random,
    ),
  ];
  const mainPools = Math.max(1, Math.ceil(jobs / JOBS_PER_POOL));
  return {
    pools: poolsFile(mainPools),
    models: {
      [TEXT_MODEL]: model({ timeToFirstTokenMs: 80 }),
      [SPECIAL_MODEL]: model({ timeToFirstTokenMs: 80 }),
      [ASYNC_MODEL]: { tokensPerMinute: TOKENS_PER_MINUTE * 10, latency: { timeToFirstTokenMs: 2_500 } },
    },
    jobs: rows.map((row, index) => plannedJob(row, index)),
  };

  /** In rounds: each round has every row once, in an order of its own. */
  function nextRow(index: number): Row {
    if (index % ROWS.length === 0) round = shuffled(ROWS, random);
    return round[index % ROWS.length] ?? HEALTHY;
  }

  function plannedJob(row: Row, index: number): PlannedJob {
    const kind = pick(row.kinds);
    const pool =
      row.place === "main" ? (kind === "async" ? "video" : `main-${index % mainPools}`) : row.place;
    // The number makes the prompt unique: a marker with `*1` strikes once for each prompt.
    const marker = row.fault === undefined ? "" : `[[sim:${row.fault}]] `;
    const text = `${marker}Job ${index} of seed ${seed}: say something about locks and sluices.`;
    return {
      kind,
      fault: row.fault,
      expected: row.expected,
      submission: {
        kind,
        pool,
        lane: pick(LANES),
        maxAttempts: MAX_ATTEMPTS,
        deadlineMs: row.deadlineMs ?? DEADLINE_MS,
        ...request(kind, text),
      },
    };
  }

  function pick<Item>(from: readonly Item[]): Item {
    const item = from[Math.floor(random() * from.length)];
    if (item === undefined) throw new RangeError("Expected something to pick from, got nothing");
    return item;
  }
}

function request(kind: JobKind, text: string): Readonly<Record<string, unknown>> {
  switch (kind) {
    case "converse":
    case "stream":
      return { prompt: text, maxTokens: MAX_TOKENS };
    case "invoke": {
      const messages = [{ role: "user", content: text }];
      const body = { anthropic_version: "bedrock-2023-05-31", max_tokens: MAX_TOKENS, messages };
      return { body, maxTokens: MAX_TOKENS };
    }
    case "async":
      return { modelInput: { text }, outputS3Uri: "s3://chaos/answers/" };
  }
}

function model(latency: { timeToFirstTokenMs: number }): object {
  return {
    tokensPerMinute: TOKENS_PER_MINUTE * 10,
    requestsPerMinute: null,
    latency: { ...latency, tokensPerSecond: 300, sigma: 0.2 },
    answer: { medianTokens: 20 },
  };
}

/** A pool that has all that it counts of its model's quota, which `sharing` pools divide. */
function poolOf(scope: string, id: string, sharing = 1) {
  return {
    scope,
    model: id,
    lanes: [...LANES],
    quota: { tokensPerMinute: TOKENS_PER_MINUTE * sharing },
    share: 1 / sharing,
    callTimeout: CALL_TIMEOUT,
    streamSilence: CALL_TIMEOUT,
    deadline: "10m",
    slots: 24,
  };
}

function poolsFile(mainPools: number): PoolsFile {
  const main = Array.from({ length: mainPools }, (_, index) => [
    `main-${index}`,
    poolOf("main", TEXT_MODEL, mainPools),
  ]);
  const region = "us-east-1";
  return {
    scopes: { main: { region }, access: { region }, skew: { region }, day: { region } },
    pools: {
      ...Object.fromEntries(main),
      video: { ...poolOf("main", ASYNC_MODEL), asyncOutputs: ["s3://chaos/answers"] },
      access: poolOf("access", SPECIAL_MODEL, 3),
      skew: poolOf("skew", SPECIAL_MODEL, 3),
      day: poolOf("day", SPECIAL_MODEL, 3),
    },
  };
}
