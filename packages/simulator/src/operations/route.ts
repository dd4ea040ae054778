/** From a request line to an operation of the service. */
import { invalid } from "../wire/service-error.ts";

/** A request for a model. */
export interface Route {
  readonly operation: "Converse";
  readonly modelId: string;
}

const MODEL_OPERATIONS: Readonly<Record<string, Route["operation"]>> = { converse: "Converse" };

/**
 * Reads `/model/{modelId}/{verb}`. The id is one percent-encoded label; slashes that a client left as they are
 * belong to it too.
 * @returns undefined when no operation answers here.
 */
export function route(method: string, path: string): Route | undefined {
  const found = /^\/model\/(.+)\/([a-z-]+)$/.exec(path);
  const [, label = "", verb = ""] = found ?? [];
  const operation = Object.hasOwn(MODEL_OPERATIONS, verb) ? MODEL_OPERATIONS[verb] : undefined;
  if (method !== "POST" || operation === undefined) return undefined;
  return { operation, modelId: decodeLabel(label) };
}

function decodeLabel(label: string): string {
  try {
    return decodeURIComponent(label);
  } catch {
    throw invalid("The provided model identifier is invalid.");
  }
}
