/**
 * Requests without their text, and back. Every text is replaced by a placeholder that says where it stood and in which
 * revision of its letter, so a request can be edited by somebody who may not read it: untouched placeholders become the
 * stored text again. Without this, saving a form as it was shown would store the placeholders as the prompt.
 */
import { OPEN_TEXTS, type JobKind } from "@sluice/job";
import { Refused } from "../refusal.ts";

const MARK = "⟦redacted";
const PLACEHOLDER = /^⟦redacted ([0-9a-f]{8}):((?:\/[^⟧]*)?), \d+ characters⟧$/;

/**
 * What somebody sees who may neither read nor edit: how long it is. The keys and numbers of a body of a model's own can
 * say as much as its texts.
 */
export function sizeOfRequest(request: unknown): object {
  return {
    hidden: "The request is shown to operators, without its texts",
    bytes: Buffer.byteLength(JSON.stringify(request)),
  };
}

/** The request with every text of its own replaced, for somebody who may edit it. Keys and numbers stay. */
export function redactRequest(request: unknown, kind: JobKind, revision: string): unknown {
  return mapTexts(request, (text, pointer) =>
    OPEN_TEXTS[kind]?.test(pointer) === true
      ? text
      : `${MARK} ${mark(revision)}:${pointer}, ${text.length} characters⟧`,
  );
}

/**
 * The submitted request with its placeholders replaced by what they stand for.
 * @throws Refused when a placeholder was cut or mixed with text, stands for nothing, or is of another revision.
 */
export function restoreRequest(submitted: unknown, stored: unknown, revision: string): unknown {
  return mapTexts(submitted, (text) => {
    if (!text.includes(MARK)) return text;
    const match = PLACEHOLDER.exec(text);
    if (match === null) {
      throw new Refused(
        400,
        "Expected a text to be a placeholder or new text, got both in one. Replace it whole",
      );
    }
    const [, of, pointer = ""] = match;
    if (of !== mark(revision)) {
      throw new Refused(409, "Somebody has changed the dead letter since you saw it. Look again");
    }
    const original = at(stored, pointer);
    if (typeof original !== "string") {
      throw new Refused(400, "A placeholder stands for no text of this letter. Look again");
    }
    return original;
  });
}

function mark(revision: string): string {
  return revision.slice(0, 8);
}

function mapTexts(value: unknown, map: (text: string, pointer: string) => string, pointer = ""): unknown {
  if (typeof value === "string") return map(value, pointer);
  if (Array.isArray(value)) return value.map((item, index) => mapTexts(item, map, `${pointer}/${index}`));
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(([key, item]) => [
    key,
    mapTexts(item, map, `${pointer}/${escaped(key)}`),
  ]);
  return Object.fromEntries(entries);
}

function at(value: unknown, pointer: string): unknown {
  let found = value;
  for (const part of pointer.split("/").slice(1)) {
    if (typeof found !== "object" || found === null) return undefined;
    found = Object.entries(found).find(([key]) => escaped(key) === part)?.[1];
  }
  return found;
}

/** A key as one part of a pointer: nothing in it ends the part, or the placeholder. */
function escaped(key: string): string {
  return encodeURIComponent(key.toWellFormed());
}
