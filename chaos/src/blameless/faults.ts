/**
 * What can go wrong beside a job without being its fault, each for a while that is shorter than the jobs' deadlines. No
 * job may die of any of it.
 */
import { SHAPES, STREAMED, type Shape } from "../orders.ts";
import type { Weather } from "../proxy.ts";

/** How a fault comes about, and what ends it. */
export type Ailment =
  /** The simulator answers calls for the pool's model so. */
  | { readonly at: "model"; readonly fault: string | object; readonly rate?: number }
  /** What lies between the workers and Bedrock. */
  | { readonly at: "way"; readonly weather: Weather }
  /**
   * The workers were started wrongly, and are put right: replaced by ones without `env`, or, where they read a
   * credentials file, the file is written.
   */
  | {
      readonly at: "worker";
      readonly env: Readonly<Record<string, string>>;
      readonly mend: "replace" | "write";
    };

export interface BlamelessFault {
  readonly name: string;
  readonly ailment: Ailment;
  /** Ways of asking that can meet it. */
  readonly shapes: readonly Shape[];
  /** Faults of a scope: each of its pools gets one of its own. Default false. */
  readonly ownScope?: boolean;
  /** How many of the workers are struck. `one`: there must be two. Default `all`. */
  readonly workers?: "all" | "one";
  /** An operator ends what would outlast the deadlines: a scope is parked for a quarter of an hour. */
  readonly released?: boolean;
}

const REFUSED_403 = { type: "error", status: 403 } as const;

function model(name: string, fault: string | object, shapes: readonly Shape[] = SHAPES): BlamelessFault {
  return { name, ailment: { at: "model", fault }, shapes };
}

/** In the first frame, and after some output. */
function inStream(name: string, exception: string): readonly BlamelessFault[] {
  return [
    model(`${name}-first-frame`, `${exception}@first`, STREAMED),
    model(`${name}-mid-stream`, `${exception}@mid`, STREAMED),
  ];
}

/** Half of the calls, so that others are answered meanwhile. */
function half(name: string, fault: string, shapes: readonly Shape[] = SHAPES): BlamelessFault {
  return { name, ailment: { at: "model", fault, rate: 0.5 }, shapes };
}

function identity(name: string, errorClass: string, message: string): BlamelessFault {
  return { ...model(name, { ...REFUSED_403, name: errorClass, message }), ownScope: true };
}

function way(name: string, weather: Weather): BlamelessFault {
  return { name, ailment: { at: "way", weather }, shapes: SHAPES };
}

function misled(
  name: string,
  env: Readonly<Record<string, string>>,
  mend: "replace" | "write" = "replace",
): BlamelessFault {
  return { name, ailment: { at: "worker", env, mend }, shapes: SHAPES };
}

/** In `misled`: the address of a proxy that takes connections and resets them, and of a file that is not there yet. */
export const SLAMMED = "{slammed}";
export const CREDENTIALS_FILE = "{credentials}";

/** A name that no resolver knows, by RFC 6761. */
const NOWHERE = { AWS_ENDPOINT_URL_BEDROCK_RUNTIME: "http://bedrock.invalid" };

/** No variable has them, and no machine's metadata is asked. */
const WITHOUT_CREDENTIALS = {
  AWS_ACCESS_KEY_ID: "",
  AWS_SECRET_ACCESS_KEY: "",
  AWS_EC2_METADATA_DISABLED: "true",
  AWS_SHARED_CREDENTIALS_FILE: CREDENTIALS_FILE,
};

export const FAULTS: readonly BlamelessFault[] = [
  model("throttle-requests", "too-many-requests"),
  model("throttle-tokens", "too-many-tokens"),
  model("throttle-unnamed", { type: "error", name: "ThrottlingException", message: "Rate exceeded" }),
  model("throttle-in-success", "error-body"),
  model("retry-after", { type: "error", name: "ThrottlingException", retryAfterSeconds: 10 }),
  model("overloaded", "overloaded"),
  model("not-ready", "ModelNotReadyException"),
  ...inStream("throttle", "ThrottlingException"),
  half("half-throttled", "too-many-requests"),
  half("half-throttled-mid-stream", "ThrottlingException@mid", STREAMED),
  { ...model("tokens-per-day", "too-many-tokens-per-day"), ownScope: true, released: true },

  model("unavailable", "ServiceUnavailableException"),
  model("too-many-connections", "too-many-connections"),
  model("busy-529", "OverloadedException"),
  model("html-503", "html"),
  model("internal-500", "InternalServerException"),
  model("model-timeout", "ModelTimeoutException"),
  ...inStream("unavailable", "ServiceUnavailableException"),
  ...inStream("model-error", "ModelStreamErrorException"),
  half("half-unavailable", "ServiceUnavailableException"),

  model("reset", "reset"),
  model("reset-mid-answer", "reset@mid"),
  model("silent", "hang"),
  model("silent-mid-answer", "hang@mid"),
  model("early-end", "early-end"),
  model("cut-frame", "truncated-frame", STREAMED),

  identity("expired", "ExpiredTokenException", "The security token included in the request is expired"),
  identity("unrecognised", "UnrecognizedClientException", "The security token in the request is invalid."),
  identity("unknown-key", "InvalidClientTokenId", "The security token in the request is invalid."),
  identity(
    "bad-signature",
    "InvalidSignatureException",
    "The request signature we calculated does not match",
  ),
  { ...model("denied", "AccessDeniedException"), ownScope: true },

  way("refused", { door: "closed" }),
  way("hung-up", { door: "slammed" }),
  way("black-hole", { lost: "both" }),
  misled("unresolved", NOWHERE),
  misled("tls-cut", { AWS_ENDPOINT_URL_BEDROCK_RUNTIME: SLAMMED }),
  misled("no-credentials", WITHOUT_CREDENTIALS, "write"),
  { ...misled("one-unresolved", NOWHERE), workers: "one" },
  { ...misled("one-without-credentials", WITHOUT_CREDENTIALS, "write"), workers: "one" },
];
