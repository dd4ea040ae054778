/**
 * Faults in one word, for a prompt marker, a header or a rule: `ThrottlingException`, `reset@mid`,
 * `ModelNotReadyException*2`. `@first` and `@mid` say where; `*2` means the first two times only.
 */
import { isServiceErrorName } from "@sluice/wire";
import { type ThrottleKind, throttleMessage } from "../quota/throttle.ts";
import type { Fault } from "./fault.ts";

/** A fault read from its spelling. */
export interface Spelled {
  readonly fault: Fault;
  /** How often it strikes. Infinity when the spelling does not say. */
  readonly times: number;
}

type Place = "first" | "mid" | undefined;

const SPELLING = /^([A-Za-z_-]{1,100})(?:@(first|mid))?(?:\*(\d{1,6}))?$/;

const STOP_REASONS = new Set([
  "content_filtered",
  "guardrail_intervened",
  "malformed_model_output",
  "max_tokens",
  "model_context_window_exceeded",
]);

const breakPlace = (place: Place): "before-headers" | "mid-body" =>
  place === "mid" ? "mid-body" : "before-headers";

/** Faults with a name of their own: transport, and the exceptions whose message or headers matter. */
const named: Readonly<Record<string, (place: Place) => Fault>> = {
  html: () => ({ type: "html", status: 503 }),
  reset: (place) => ({ type: "reset", at: breakPlace(place) }),
  hang: (place) => ({ type: "hang", at: breakPlace(place) }),
  "early-end": () => ({ type: "early-end" }),
  "truncated-frame": () => ({ type: "truncated-frame" }),
  "bad-checksum": () => ({ type: "bad-checksum" }),
  "error-body": () => ({ type: "body", body: { message: throttleMessage.requests } }),
  "no-content": () => ({ type: "omit", parts: ["content"] }),
  "no-usage": () => ({ type: "omit", parts: ["usage"] }),
  "guardrail-empty": () => ({ type: "stop", reason: "guardrail_intervened", omit: ["content"] }),
  slow: () => ({ type: "slow", factor: 10 }),
  "too-many-requests": (place) => throttled("requests", place),
  "too-many-tokens": (place) => throttled("tokens", place),
  "too-many-tokens-per-day": (place) => throttled("tokens-per-day", place),
  overloaded: (place) => throttled("overloaded", place),
  "retry-after": (place) => ({ ...throttled("requests", place), retryAfterSeconds: 2 }),
  "too-many-connections": (place) =>
    error("ServiceUnavailableException", place, "Too many connections, please wait before trying again."),
  // A Date far enough from the client's makes the SDK correct its clock.
  "clock-skew": () => ({
    ...error("AccessDeniedException", undefined, "Signature expired: the request is too old."),
    dateSkewSeconds: 600,
  }),
};

/** Every word that means a fault, exceptions aside. */
export const faultWords: readonly string[] = [...Object.keys(named), ...STOP_REASONS];

/** Reads a spelling; undefined when it means nothing. */
export function parseFault(spelling: string): Spelled | undefined {
  const [, name = "", where, times] = SPELLING.exec(spelling.trim()) ?? [];
  const place = where === "first" || where === "mid" ? where : undefined;
  const fault = lookUp(name, place);
  if (fault === undefined) return undefined;
  return { fault, times: times === undefined ? Infinity : Number(times) };
}

function lookUp(name: string, place: Place): Fault | undefined {
  if (STOP_REASONS.has(name)) return { type: "stop", reason: name };
  if (isServiceErrorName(name)) return error(name, place);
  return Object.hasOwn(named, name) ? named[name]?.(place) : undefined;
}

function error(name: string, place: Place, message?: string): Extract<Fault, { type: "error" }> {
  const at = { first: "first-frame", mid: "mid-stream" } as const;
  return {
    type: "error",
    name,
    at: place === undefined ? "start" : at[place],
    ...(message !== undefined && { message }),
  };
}

function throttled(kind: ThrottleKind, place: Place): Extract<Fault, { type: "error" }> {
  return error("ThrottlingException", place, throttleMessage[kind]);
}
