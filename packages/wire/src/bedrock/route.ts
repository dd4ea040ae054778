/** From a request line to an operation of the service. */
import { invalid } from "./service-error.ts";

const MODEL_VERBS = {
  converse: "Converse",
  "converse-stream": "ConverseStream",
  "count-tokens": "CountTokens",
  invoke: "InvokeModel",
  "invoke-with-response-stream": "InvokeModelWithResponseStream",
} as const;

/** An operation on a model named in the path. */
export type ModelOperation = (typeof MODEL_VERBS)[keyof typeof MODEL_VERBS];

/** What a request asks for. */
export type Route =
  | { readonly operation: ModelOperation; readonly modelId: string }
  | { readonly operation: "StartAsyncInvoke" | "ListAsyncInvokes" | "ApplyGuardrail" }
  | { readonly operation: "GetAsyncInvoke"; readonly arn: string };

/**
 * Reads a request line. An id or ARN is one percent-encoded label; slashes that a client left as they are belong
 * to it too.
 * @returns undefined when no operation answers here.
 * @throws ServiceError for a label that is not percent-encoded properly.
 */
export function route(method: string, path: string): Route | undefined {
  if (method === "GET") {
    if (path === "/async-invoke") return { operation: "ListAsyncInvokes" };
    const [, arn] = /^\/async-invoke\/(.+)$/.exec(path) ?? [];
    return arn === undefined ? undefined : { operation: "GetAsyncInvoke", arn: decodeLabel(arn) };
  }
  if (method !== "POST") return undefined;
  if (path === "/async-invoke") return { operation: "StartAsyncInvoke" };
  if (/^\/guardrail\/[^/]+\/version\/[^/]+\/apply$/.test(path)) return { operation: "ApplyGuardrail" };
  const [, label = "", verb = ""] = /^\/model\/(.+)\/([a-z-]+)$/.exec(path) ?? [];
  return isModelVerb(verb) ? { operation: MODEL_VERBS[verb], modelId: decodeLabel(label) } : undefined;
}

function isModelVerb(verb: string): verb is keyof typeof MODEL_VERBS {
  return Object.hasOwn(MODEL_VERBS, verb);
}

function decodeLabel(label: string): string {
  try {
    return decodeURIComponent(label);
  } catch {
    throw invalid("The provided model identifier is invalid.");
  }
}
