/**
 * What an error message has from the request that failed, and does not say so by quotation marks. The message is compared
 * with the request, so that no way of echoing has to be known in advance.
 */
import type { CallResult, StartResult } from "../bedrock-caller.ts";

/** Words that messages about requests are made of. What a prompt has in common with them is no secret. */
const VOCABULARY: ReadonlySet<string> = new Set(
  (
    "a about above access account additional after again against all allowed also an and another any api are argument " +
    "arguments arn array as at available aws back bad base64 be because been bedrock before began being below between blank " +
    "body boolean both bucket but by bytes call called calls can cannot capacity characters check choose client code config " +
    "configuration connection constraint contain contained contains content conversation converse correct could count currently " +
    "data day deadline default denied deprecated did different do document does don during each either element empty encoding " +
    "end ended enter equal error errors exceed exceeded exceeds exception expected expired extraneous fail failed fails failure " +
    "field fields file filter filters first following for format found from function generate given got greater group guardrail " +
    "had has have header high id identifier if image in include included inference input inputs instead integer internal into " +
    "invalid invocation invocations invoke is isn it item items its job json key keys large last latest least legacy length " +
    "less limit limits list load long longer lower made make malformed many matched max maximum maxlength " +
    "maxtokens may member message messages metric min minimum minlength missing mode model modelid models modify more most " +
    "multiple must name named network new next no non none not null number object of off on on one only operation option " +
    "optional or order ordered other our out output outputs over overloaded own page parameter parameters parse part pattern " +
    "per permission permitted please policy position prefix prompt property provide provided provisioned quota range rate " +
    "reached read received reduce reduced reformat region regular request requested requests require required resource response " +
    "retry role roles row s3 safety same satisfy schema second seconds security sent sequence sequences server service set " +
    "shorter should shut size slow some something specified specify start state status stop stopped stopsequences stream " +
    "string structure submit success such support supported system task temperature text than that the their then there these " +
    "they this throughput throttled time timeout times to token tokens too tool tools top topk topp total traffic true try type " +
    "unable unexpected unknown unsupported until up upper uri url use used user using valid validation value values version very " +
    "violates wait was we were when where which while will with within without word words wrong you your " +
    "amazon anthropic assistant claude cohere deepseek llama meta mistral nova openai stability titan twelvelabs eu us apac v1 v2 p k"
  ).split(" "),
);

/** Tokens of a text: letters and digits together. */
const TOKENS = /[\p{L}\p{M}\p{N}]+/gu;

/** Numbers shorter than this say nothing. */
const SHORTEST_NUMBER = 3;

/** Words of the request between two others of it, which an echo is made of too. */
const LONGEST_GAP = 3;

/**
 * The message without what it has from the request: words that the request has and messages about requests do not, what is
 * between them, and every word that is no English one, since nobody but the caller writes those.
 * @param request of any shape; its own numbers beside the texts may stay.
 */
export function withoutEcho(message: string, request: unknown): string {
  const tokens = [...message.matchAll(TOKENS)].map(({ 0: text, index }) => ({
    word: text.normalize("NFC").toLowerCase(),
    start: index,
    end: index + text.length,
    // What a message was cut within is the beginning of a word.
    isCut: /^(?:…|\.\.\.)/.test(message.slice(index + text.length)),
  }));
  if (!tokens.some(({ word }) => isSuspect(word))) return message;
  const words = wordsOf(request);
  const isOf = (word: string, isCut: boolean): boolean =>
    words.has(word) || (isCut && word.length > 2 && [...words].some((each) => each.startsWith(word)));
  const echoes = tokens.map(({ word, isCut }) => isSuspect(word) && (!isAscii(word) || isOf(word, isCut)));
  if (!echoes.includes(true)) return message;
  // Written as one with a word that goes: `patient-name`.
  const isJoined = (at: number): boolean => {
    const [before, after] = [tokens[at - 1], tokens[at]];
    return before !== undefined && after !== undefined && JOINT.test(message.slice(before.end, after.start));
  };
  const isOfRequest = tokens.map(({ word, isCut }) => isOf(word, isCut));
  for (let at = 1; at < tokens.length; at += 1) {
    if (echoes[at - 1] === true && isJoined(at) && isOfRequest[at] === true) echoes[at] = true;
  }
  for (let at = tokens.length - 1; at > 0; at -= 1) {
    if (echoes[at] === true && isJoined(at) && isOfRequest[at - 1] === true) echoes[at - 1] = true;
  }
  return cutOut(message, tokens, echoes, isOfRequest);
}

/** What joins the parts of a name. */
const JOINT = /^[-_./@+]+$/;

/** Without the echoes, and without what of the request is between two of them. */
function cutOut(
  message: string,
  tokens: readonly { readonly start: number; readonly end: number }[],
  echoes: readonly boolean[],
  isOfRequest: readonly boolean[],
): string {
  let kept = "";
  let from = 0;
  for (let at = echoes.indexOf(true); at >= 0; at = echoes.indexOf(true, at + 1)) {
    const { start = 0 } = tokens[at] ?? {};
    for (let next = at + 1; next <= at + LONGEST_GAP + 1 && isOfRequest[next] === true; next += 1) {
      if (echoes[next] === true) at = next;
    }
    kept += `${message.slice(from, start)}…`;
    from = tokens[at]?.end ?? message.length;
  }
  return (kept + message.slice(from)).replaceAll(/…(?:[\s….]*…)+/g, "…");
}

/** The same end of a call, whose failure says nothing of what was asked. */
export function withoutEchoes<Result extends CallResult | StartResult>(
  result: Result,
  request: unknown,
): Result {
  if (result.type !== "failed") return result;
  const message = withoutEcho(result.failure.message, request);
  return { ...result, failure: { ...result.failure, message } };
}

function isSuspect(word: string): boolean {
  if (VOCABULARY.has(word)) return false;
  return /^\p{N}+$/u.test(word) ? word.length >= SHORTEST_NUMBER : word.length > 1 || !isAscii(word);
}

function isAscii(word: string): boolean {
  return /^[\x20-\x7e]*$/.test(word);
}

/** Every word of every text and every key of the request. */
function wordsOf(request: unknown): Set<string> {
  const words = new Set<string>();
  const add = (text: string): void => {
    for (const [word] of text.normalize("NFC").toLowerCase().matchAll(TOKENS)) words.add(word);
  };
  const left: unknown[] = [request];
  while (left.length > 0) {
    const value = left.pop();
    if (typeof value === "string") add(value);
    else if (Array.isArray(value)) value.forEach((item) => left.push(item));
    else if (typeof value === "object" && value !== null) {
      for (const [key, item] of Object.entries(value)) {
        add(key);
        left.push(item);
      }
    }
  }
  return words;
}
