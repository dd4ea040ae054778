/** What every dialect boils down to: a prompt, a limit, and a few wishes. */

/** A piece of a prompt in the order the model sees it. */
export type PromptPart =
  | { readonly kind: "text"; readonly text: string }
  /** Counts, but is nothing to read: an image, a document, tools. */
  | { readonly kind: "hidden"; readonly tokens: number }
  /** Everything up to here may be cached. */
  | { readonly kind: "cache-point" };

/** One call for a model, whatever the operation. */
export interface ModelRequest {
  readonly parts: readonly PromptPart[];
  /** What admission reserves for the answer; the model's own limit when the request names none. */
  readonly maxTokens: number;
  readonly stopSequences: readonly string[];
  /** Free labels of the caller, shown in the evidence. */
  readonly metadata: Readonly<Record<string, string>> | null;
}

/** All text of a prompt, for markers and for the answer. */
export function promptText(parts: readonly PromptPart[]): string {
  return parts.map((part) => (part.kind === "text" ? part.text : "")).join("\n");
}
