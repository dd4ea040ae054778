/** A marker in the prompt asks for a fault: `[[sim:ValidationException]]`, `[[sim:content_filtered]]`. */
import { isServiceErrorName, ServiceError } from "../wire/service-error.ts";

/** What a marked prompt gets. */
export type Fault =
  | { readonly kind: "error"; readonly error: ServiceError }
  | { readonly kind: "stop"; readonly stopReason: "content_filtered" | "guardrail_intervened" };

const MARKER = /\[\[sim:([A-Za-z_]+)\]\]/;

/** The fault the prompt asks for. A name that means nothing here is ordinary text. */
export function markedFault(prompt: string): Fault | undefined {
  if (!prompt.includes("[[sim:")) return undefined;
  const name = MARKER.exec(prompt)?.[1];
  if (name === undefined) return undefined;
  if (name === "content_filtered" || name === "guardrail_intervened")
    return { kind: "stop", stopReason: name };
  if (!isServiceErrorName(name)) return undefined;
  return { kind: "error", error: new ServiceError(name, "Asked for by a marker in the prompt.") };
}
