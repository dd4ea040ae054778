/**
 * What may be told of an error, in logs and to people. Errors of libraries carry what they failed with: the arguments of
 * a Redis command, the body and headers of a request, the text that was no JSON. So nothing of an error is told but what
 * is named here, and texts lose the passwords of URLs and the snippets that engines quote.
 */

/** An error as it is told. */
export interface ToldError {
  readonly name: string;
  readonly message: string;
  readonly code?: string | number;
  /** Its frames alone; the message is beside it. */
  readonly stack?: string;
  readonly cause?: ToldError;
  /** The first of those that an `AggregateError` holds. */
  readonly errors?: readonly ToldError[];
}

/** Longest texts, in characters, and how many causes deep. */
const LONGEST_NAME = 100;
const LONGEST_MESSAGE = 1_000;
const MOST_FRAMES = 20;
const LONGEST_FRAME = 300;
const DEEPEST = 3;
const MOST_ERRORS = 3;

/** `//user:password@`, up to the last `@` before a space or quote: passwords hold `@` and `/` more often than they should. */
const PASSWORD_IN_URL = /(\/\/[^\s:@/"'`<>]*):[^\s"'`<>]*@/g;

/**
 * The same of any scheme but http: there nothing follows but the host, so all up to the last `@` of the line is taken for
 * the password, with its spaces, quotes and brackets. A port that a space, a `/` or the like ends is none.
 */
const PASSWORD_OF_STORE =
  /\b((?!https?:)[a-z][a-z0-9+.-]{0,20}:\/\/[^\s:@/"'`<>]{0,200}):(?!\d{2,5}(?:[\s"'`,;)]|$))[^\n]{0,1000}@/gi;

/** `?password=…`: ioredis reads its options from there. `X-Amz-Signature=…`: whoever has the URL may do what it says. */
const PASSWORD_IN_QUERY =
  /([?&][^=&\s"']*(?:pass|secret|token|auth|signature|credential|api-?_?key|accesskey)[^=&\s"']*=)[^&\s"'`<>]*/gi;

/** `AUTH user password`, as Redis and its drivers quote it; also within `HELLO`. `AUTH <password>` is how Redis explains it. */
const AUTH_COMMAND = /\b(AUTH)(?! failed| called| <)(?:\s+(?:"[^"]*"|'[^']*'|[^\s"']+)){1,2}/g;

/** A header as it is printed. */
const AUTHORIZATION = /(authorization["']?\s*[:=]\s*["']?)(?:(?:basic|bearer)\s+)?[^\s"',]+/gi;

/** V8 quotes what it could not parse. */
const QUOTED_JSON = /(?:Unexpected token [^]{1,8}, )?(?:\.{3})?"[^]*"(?:\.{3})? is not valid JSON/g;

/** Redis quotes the arguments of a command that it does not know. */
const QUOTED_ARGUMENTS = /,? with args beginning with:[^]*/g;

/** A text without passwords of URLs, and without what it quotes of a JSON text or of a command's arguments. */
export function scrubText(text: string): string {
  return text
    .replace(PASSWORD_OF_STORE, "$1:***@")
    .replace(PASSWORD_IN_URL, "$1:***@")
    .replace(PASSWORD_IN_QUERY, "$1***")
    .replace(AUTH_COMMAND, "$1 ***")
    .replace(AUTHORIZATION, "$1***")
    .replace(QUOTED_JSON, "The text is not valid JSON")
    .replace(QUOTED_ARGUMENTS, "");
}

/** A text that was meant to be a URL and may be none: without all that could be a password. */
export function scrubUrl(text: string): string {
  return scrubText(text.replace(/^([a-z][a-z0-9+.-]*:\/\/[^:@\s]*:)?.*@/is, "$1***@"));
}

/** What may be told of anything that was thrown. Never throws; bounded in depth and length. */
export function scrubError(error: unknown): ToldError {
  return tell(error, DEEPEST);
}

function tell(error: unknown, depth: number): ToldError {
  if (typeof error === "string") return { name: "Thrown", message: bounded(error) };
  if (typeof error !== "object" || error === null) return { name: "Thrown", message: typeof error };
  const name = read(error, "name");
  const message = read(error, "message");
  const code = read(error, "code");
  const frames = framesOf(read(error, "stack"));
  const cause = read(error, "cause");
  const errors = read(error, "errors");
  return {
    name: typeof name === "string" ? name.slice(0, LONGEST_NAME) : "Thrown",
    message: typeof message === "string" ? bounded(message) : "",
    ...(typeof code === "number" ? { code } : {}),
    ...(typeof code === "string" ? { code: scrubText(code).slice(0, LONGEST_NAME) } : {}),
    ...(frames === "" ? {} : { stack: frames }),
    ...(depth > 0 && typeof cause === "object" && cause !== null ? { cause: tell(cause, depth - 1) } : {}),
    ...(depth > 0 && Array.isArray(errors)
      ? { errors: errors.slice(0, MOST_ERRORS).map((each: unknown) => tell(each, 0)) }
      : {}),
  };
}

/** A getter of a stranger's object may throw. */
function read(error: object, field: string): unknown {
  try {
    return Reflect.get(error, field);
  } catch {
    return undefined;
  }
}

function bounded(text: string): string {
  const scrubbed = scrubText(text.slice(0, 4 * LONGEST_MESSAGE));
  return scrubbed.length <= LONGEST_MESSAGE ? scrubbed : `${scrubbed.slice(0, LONGEST_MESSAGE)}…`;
}

/** A stack begins with the message, which may be of many lines. */
function framesOf(stack: unknown): string {
  if (typeof stack !== "string") return "";
  return stack
    .split("\n")
    .filter((line) => /^\s+at /.test(line))
    .slice(0, MOST_FRAMES)
    .map((line) => line.slice(0, LONGEST_FRAME))
    .join("\n");
}
