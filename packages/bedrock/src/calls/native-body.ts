/** What a body in a model's own format says, whole or one chunk of a stream. Pure. */
import { z } from "zod";
import { isFilter } from "./answered.ts";
import { converseUsage, toCounts } from "./converse.ts";
import { FAMILIES, isError, type Reading } from "./families.ts";
import { part, stopWord, text } from "../lenient.ts";
import { count, type Counts } from "./usage.ts";

export interface Said {
  readonly text: string;
  readonly hidden: string;
  /** The reason to stop; a filter's before any other. */
  readonly reason: string | undefined;
  readonly isOver: boolean;
  readonly counts: Counts;
  /** It has a place for its end: a stream of such chunks is not whole before that place is filled. */
  readonly awaitsEnd: boolean;
  /** Nothing came of it, in the words of the model's server. */
  readonly failure: string | undefined;
}

/** The names of all families for the same counts. OpenAI's input has what was read from a cache in it. */
const usage = converseUsage
  .unwrap()
  .unwrap()
  .extend({
    input_tokens: count,
    output_tokens: count,
    cache_read_input_tokens: count,
    cache_creation_input_tokens: count,
    prompt_tokens: count,
    completion_tokens: count,
    total_tokens: count,
    prompt_tokens_details: part({ cached_tokens: count }),
  })
  .optional()
  .catch(undefined);

const units = part({ input_tokens: count, output_tokens: count });

/** Members that mean the same wherever they stand. */
const bodySchema = z.object({
  stop_reason: stopWord,
  stopReason: stopWord,
  finish_reason: stopWord,
  finishReason: stopWord,
  usage,
  // Claude's stream opens with it, Nova's ends with it.
  message: part({ usage }),
  metadata: part({ usage }),
  // Cohere's.
  meta: part({ tokens: units, billed_units: units }),
  // Titan's, for text and embeddings.
  inputTextTokenCount: count,
  // Bedrock's own: in the body of any model, and in the last chunk of any stream.
  "amazon-bedrock-guardrailAction": text,
  "amazon-bedrock-invocationMetrics": part({
    inputTokenCount: count,
    outputTokenCount: count,
    cacheReadInputTokenCount: count,
    cacheWriteInputTokenCount: count,
  }),
});

/** Where an answer's end will stand. */
const ENDS: ReadonlySet<string> = new Set([
  "stop_reason",
  "stopReason",
  "finish_reason",
  "finishReason",
  "completionReason",
  "is_finished",
]);

/** A candidate in the list of candidates. */
const DEEPEST_END = 2;

type Body = Partial<z.output<typeof bodySchema>>;

/** Reads a body. Of what nobody knows, nothing is said but what Bedrock has added. */
export function readNative(value: unknown): Said {
  const body: Body = bodySchema.safeParse(value).data ?? {};
  const rows = Object.values(FAMILIES)
    .map((family) => family.safeParse(value).data)
    .filter((row) => row !== undefined);
  const words = (name: "text" | "hidden"): string => rows.map((row) => row[name] ?? "").join("");
  const metrics = body["amazon-bedrock-invocationMetrics"];
  const reason = reasonOf(body, rows);
  const wrote = words("text") + words("hidden") !== "";
  return {
    text: words("text"),
    hidden: words("hidden"),
    reason,
    isOver: reason !== undefined || metrics !== undefined || rows.some((row) => row.isOver === true),
    counts: countsOf(body, rows),
    awaitsEnd: rows.some((row) => row.isOver !== undefined) || hasMember(value, ENDS),
    failure:
      rows.find((row) => row.failure !== undefined)?.failure ??
      (!wrote && isError(reason) ? reason : undefined),
  };
}

function reasonOf(body: Body, rows: readonly Reading[]): string | undefined {
  // A guardrail leaves the reason to stop as it was.
  if (body["amazon-bedrock-guardrailAction"] === "INTERVENED") return "guardrail_intervened";
  const given = [body.stop_reason, body.stopReason, body.finish_reason, body.finishReason];
  const reasons = [...given, ...rows.flatMap((row) => row.reasons ?? [])].filter(
    (reason) => reason !== undefined,
  );
  return reasons.find(isFilter) ?? reasons[0];
}

/** Whether a body has one of these members, empty or not, at its top or in its candidates. */
function hasMember(value: unknown, names: ReadonlySet<string>, depth = 0): boolean {
  if (typeof value !== "object" || value === null || depth > DEEPEST_END) return false;
  return Object.entries(value).some(([name, inner]) => names.has(name) || hasMember(inner, names, depth + 1));
}

/** Bedrock's own metrics win: they are what the quota is charged. */
function countsOf({ usage: own, message, metadata, meta, ...body }: Body, rows: readonly Reading[]): Counts {
  const metrics = body["amazon-bedrock-invocationMetrics"];
  const used = own ?? metadata?.usage;
  const atStart = message?.usage;
  const nova = toCounts(used);
  const cohere = meta?.tokens ?? meta?.billed_units;
  const cached = used?.prompt_tokens_details?.cached_tokens;
  const prompt =
    used?.prompt_tokens === undefined ? undefined : Math.max(0, used.prompt_tokens - (cached ?? 0));
  const row = (name: "input" | "output"): number | undefined =>
    rows.find((each) => each.counts?.[name] !== undefined)?.counts?.[name];
  return {
    input:
      metrics?.inputTokenCount ??
      used?.input_tokens ??
      nova.input ??
      prompt ??
      atStart?.input_tokens ??
      cohere?.input_tokens ??
      body.inputTextTokenCount ??
      row("input"),
    // Output that is counted at the start of a message is not its own yet.
    output:
      metrics?.outputTokenCount ??
      used?.output_tokens ??
      nova.output ??
      used?.completion_tokens ??
      cohere?.output_tokens ??
      row("output"),
    total: nova.total ?? used?.total_tokens,
    cacheRead:
      metrics?.cacheReadInputTokenCount ??
      used?.cache_read_input_tokens ??
      nova.cacheRead ??
      cached ??
      atStart?.cache_read_input_tokens,
    cacheWrite:
      metrics?.cacheWriteInputTokenCount ??
      used?.cache_creation_input_tokens ??
      nova.cacheWrite ??
      atStart?.cache_creation_input_tokens,
  };
}
