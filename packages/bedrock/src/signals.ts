/**
 * Reads what the SDK throws. Anything can be thrown: service exceptions, Node's system errors, plain errors from
 * broken streams, with or without metadata. Missing and odd fields become `undefined`.
 */
import { parseJson } from "@sluice/job";
import { z } from "zod";

/** What classification looks at. */
export interface Signals {
  /** The wire name with a capital first letter: unmodelled stream exceptions arrive in lowerCamel. */
  readonly name: string;
  readonly message: string;
  /** System error code of the error or of the nearest cause that has one. */
  readonly code: string | undefined;
  readonly syscall: string | undefined;
  /** HTTP status, if it says failure. A thrown error can carry the 200 its stream began with. */
  readonly status: number | undefined;
  /** The response had a 2xx status. */
  readonly wasSuccess: boolean;
  readonly requestId: string | undefined;
  readonly originalStatusCode: number | undefined;
  readonly clockSkewCorrected: boolean;
  readonly retryAfterMs: number | undefined;
  /** A byte of the request may have reached the other end: the model may be at work. */
  readonly sent: boolean;
}

/** What the error itself cannot say. */
export interface Circumstances {
  /** Whether the request had been written to a connection. Default: it had, which is the dearer mistake to make. */
  readonly sent?: boolean | undefined;
}

const text = z.string().optional().catch(undefined);
const whole = z.int().optional().catch(undefined);

const thrownSchema = z.object({
  name: text,
  message: text,
  code: text,
  syscall: text,
  cause: z.unknown().optional(),
  originalStatusCode: whole,
  $metadata: z
    .object({
      httpStatusCode: whole,
      requestId: text,
      clockSkewCorrected: z.boolean().optional().catch(undefined),
    })
    .optional()
    .catch(undefined),
  $response: z
    .object({ headers: z.record(z.string(), z.unknown()) })
    .optional()
    .catch(undefined),
});

type Thrown = Partial<z.output<typeof thrownSchema>>;

function readThrown(error: unknown): Thrown {
  return thrownSchema.safeParse(error).data ?? {};
}

/** Unmodelled stream exceptions have their JSON body as message. */
const bodySchema = z.object({ message: text, Message: text, originalStatusCode: whole });

/** Node's words for a connection that broke within its handshake, with the code of one that broke at any time. */
const NEVER_SENT = /before secure TLS connection was established/;

const NOT_JSON = "Expected JSON, got something else";

/** Causes deeper than this are somebody's cycle. */
const MAX_CAUSES = 10;

/**
 * @param now milliseconds since the epoch, to read a `Retry-After` that names a date.
 */
export function readSignals(error: unknown, now: number, { sent = true }: Circumstances = {}): Signals {
  const thrown = readThrown(error);
  const body = jsonBody(thrown.message);
  const status = thrown.$metadata?.httpStatusCode;
  return {
    name: capitalised(thrown.name ?? ""),
    // A parser quotes what it could not parse.
    message:
      thrown.name === "SyntaxError" ? NOT_JSON : (body?.message ?? body?.Message ?? thrown.message ?? ""),
    ...systemError(thrown),
    status: status === undefined || status < 400 ? undefined : status,
    wasSuccess: status !== undefined && status < 300,
    requestId: thrown.$metadata?.requestId,
    originalStatusCode: thrown.originalStatusCode ?? body?.originalStatusCode,
    clockSkewCorrected: thrown.$metadata?.clockSkewCorrected ?? false,
    retryAfterMs: retryAfterMs(thrown.$response?.headers ?? {}, now),
    sent: sent && !NEVER_SENT.test(thrown.message ?? ""),
  };
}

/** Only the first line: the SDK appends a hint to messages it could not deserialise. */
function jsonBody(message: string | undefined): z.output<typeof bodySchema> | undefined {
  const line = message?.split("\n", 1)[0] ?? "";
  return line.startsWith("{") ? bodySchema.safeParse(parseJson(line)).data : undefined;
}

function systemError(thrown: Thrown): Pick<Signals, "code" | "syscall"> {
  let { code, syscall, cause } = thrown;
  let found = code;
  for (let depth = 0; depth < MAX_CAUSES && cause !== undefined && cause !== null; depth += 1) {
    const inner = readThrown(cause);
    // The innermost code is the most exact one: HTTP/2 wraps ECONNREFUSED into its own.
    if (inner.code !== undefined) ({ code: found, syscall } = inner);
    cause = inner.cause;
  }
  return { code: found, syscall };
}

function retryAfterMs(headers: Readonly<Record<string, unknown>>, now: number): number | undefined {
  const ms = Number(headers["x-amz-retry-after"] ?? Number.NaN);
  if (ms >= 0) return ms;
  const hint = headers["retry-after"];
  if (typeof hint !== "string" || hint === "") return undefined;
  const delay = /^\d+$/.test(hint) ? Number(hint) * 1_000 : Date.parse(hint) - now;
  return Number.isFinite(delay) ? Math.max(0, delay) : undefined;
}

function capitalised(name: string): string {
  return name.charAt(0).toUpperCase() + name.slice(1);
}
