/** The demo's jobs: one 'summarise this' prompt per document, over the three lanes, and a quota that they fill. */
import type { ConversationInput } from "@sluice/job";
import type { Document } from "./documents.ts";

export const POOL = "claude";
export const MODEL = "us.anthropic.claude-sonnet-4-6-v1:0";

/** How many output tokens count per token written, for this model at Bedrock. */
export const BURNDOWN = 5;

/** Of every 20 jobs 3 are critical, 9 standard, 8 bulk. The order is the order of urgency. */
const LANES = [
  { name: "critical", places: [0, 7, 14], maxTokens: 200 },
  { name: "standard", places: [1, 3, 5, 8, 10, 12, 15, 17, 19], maxTokens: 300 },
  { name: "bulk", places: [2, 4, 6, 9, 11, 13, 16, 18], maxTokens: 400 },
] as const;

/** Every so many jobs one is made to fail for good, and another to be stopped by a content filter. */
const DEAD_EVERY = 75;
const FILTERED_EVERY = 100;

export interface Workload {
  readonly submissions: readonly ConversationInput[];
  /** Sized so that the jobs fill it for about `DURATION_S`, in tokens per minute. */
  readonly tokensPerMinute: number;
  /** Calls in flight that this takes, for the whole fleet. */
  readonly slots: number;
}

const DURATION_S = 50;
/** Also for a system that is started without jobs. */
const LEAST_TOKENS_PER_MINUTE = 10_000;
const CHARACTERS_PER_TOKEN = 4;
/** What the simulator's answers come to: a bit below half of what a job asks for. */
const ANSWERED_SHARE = 0.4;
/** Little's law needs a latency; the simulator answers in two to four seconds. */
const LATENCY_S = 4;

/** Makes `jobs` submissions. Documents are used again, numbered, when there are fewer. */
export function makeWorkload(documents: readonly Document[], jobs: number): Workload {
  const submissions = Array.from({ length: jobs }, (_, index) => submission(documents, index));
  const tokens = submissions.reduce((sum, each) => sum + expectedTokens(each), 0);
  return {
    submissions,
    tokensPerMinute: roundUp(Math.max(LEAST_TOKENS_PER_MINUTE, (tokens / DURATION_S) * 60)),
    slots: Math.max(24, Math.ceil((jobs / DURATION_S) * LATENCY_S * 1.5)),
  };
}

function submission(documents: readonly Document[], index: number): ConversationInput {
  const document = documents[index % documents.length];
  if (document === undefined) throw new Error("Found no README file under node_modules to summarise");
  const round = Math.floor(index / documents.length);
  const lane = LANES.find(({ places }) => places.some((place) => place === index % 20)) ?? LANES[1];
  const title = round === 0 ? document.title : `${document.title} (${round + 1})`;
  return {
    pool: POOL,
    lane: lane.name,
    prompt: `${marker(index)}Summarise this document in a few sentences.\n\n# ${title}\n\n${document.text}`,
    maxTokens: lane.maxTokens,
  };
}

/** Words the simulator answers with a failure or a filter instead of a summary. */
function marker(index: number): string {
  if (index % DEAD_EVERY === 10) return "[[sim:ValidationException]] ";
  if (index % FILTERED_EVERY === 20) return "[[sim:content_filtered]] ";
  return "";
}

function expectedTokens({ prompt = "", maxTokens = 0 }: ConversationInput): number {
  return prompt.length / CHARACTERS_PER_TOKEN + BURNDOWN * maxTokens * ANSWERED_SHARE;
}

/** Two significant digits: a quota that looks like one. */
function roundUp(value: number): number {
  const unit = 10 ** (Math.floor(Math.log10(value)) - 1);
  return Math.ceil(value / unit) * unit;
}
