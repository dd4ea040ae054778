/**
 * Error messages, safe to store, show and log. Bedrock's messages can echo what they complain about, so whatever
 * could be text of a prompt or an answer is taken out.
 */

/** Longer messages lose their end. */
export const MAX_MESSAGE_LENGTH = 200;

/** What a quotation can begin with, or an escape within one. The apostrophe of "isn't" is none: it follows a letter. */
const OPENS = /["`“‘[{\\]|(?<![\p{L}\p{N}])'/gu;

/** A denial says why at its end, and nothing in it is of the request's text. */
const DENIAL =
  /^User: arn:[\w:/.+=,@*-]+ is (not authorized to perform: [\w:*-]+)(?: on resource: ([\w:/.+=,@*-]+))?((?: because| with)[\w ,:/().*-]*)?$/;

/** Room for its action, its resource and its reason. */
const MAX_DENIAL_LENGTH = 480;

/** Words of the request's own structure. A quoted path of these says where, not what. */
const STRUCTURE = new Set(
  (
    "messages message member content text role user assistant system inferenceConfig maxTokens max_tokens temperature " +
    "topP top_p stopSequences stop_sequences toolConfig guardrailConfig additionalModelRequestFields modelId model"
  ).split(" "),
);

/**
 * Shortens a message and takes out what may be somebody's text:
 * - only the first line stays: further lines are the SDK's hints or the canonical request;
 * - everything from the first quotation mark, bracket, brace or backslash on goes, since text may itself have quotes in it,
 *   except for quoted paths made of the request's own field names, such as 'messages.1.content' or `max_tokens`;
 * - control characters become blanks, and at most 200 characters stay.
 * What IAM says of a denial is kept whole but for who was denied: it ends with the reason.
 */
export function safeMessage(message: string): string {
  const line = onOneLine(message.split(/[\r\n]/, 1)[0] ?? "").trim();
  const denied = denial(line);
  if (denied !== undefined) return denied;
  const end = firstForeignQuote(line);
  const where = end === line.length ? [] : [...paths(line.slice(end))];
  const text = `${line.slice(0, end)}${end === line.length ? "" : "…"}${where.map((path) => ` (${path})`).join("")}`;
  if (text.length <= MAX_MESSAGE_LENGTH) return text;
  // Not within a character: half of one cannot be stored.
  return `${text.slice(0, MAX_MESSAGE_LENGTH - 1).replace(/[\uD800-\uDBFF]$/, "")}…`;
}

/** What was denied and why, if the line says that and no more. */
function denial(line: string): string | undefined {
  const [, action, resource, reason = ""] = DENIAL.exec(line) ?? [];
  if (action === undefined) return undefined;
  const said = (what: string): string => `${action}${what}${reason}`;
  const whole = said(resource === undefined ? "" : ` on resource: ${resource}`);
  return (whole.length <= MAX_DENIAL_LENGTH ? whole : said("")).slice(0, MAX_DENIAL_LENGTH);
}

/** Where the first quotation starts that is not a path of the request; the length of the line without one. */
function firstForeignQuote(line: string): number {
  let checked = 0;
  for (const { index } of line.matchAll(OPENS)) {
    if (index < checked) continue;
    const path = quotedPath(line.slice(index));
    if (path === undefined) return index;
    checked = index + path.length + 2;
  }
  return line.length;
}

/** The paths of the request that are named in what was taken out, the first two. */
function paths(rest: string): Set<string> {
  const found = [...rest.matchAll(/ at ['"`]/g)].map(({ index }) => quotedPath(rest.slice(index + 4)));
  return new Set(found.filter((path) => path !== undefined).slice(0, 2));
}

/** The path at the start of a text, between two quotation marks of one kind. */
function quotedPath(text: string): string | undefined {
  const path = /^(["'`])([\w.]{1,100})\1/.exec(text)?.[2];
  const steps = path?.split(".") ?? [];
  const isStructure = steps.some((step) => STRUCTURE.has(step));
  return isStructure && steps.every((step) => STRUCTURE.has(step) || /^\d{1,4}$/.test(step))
    ? path
    : undefined;
}

function onOneLine(text: string): string {
  return text.replaceAll(/\p{Cc}+/gu, " ");
}
