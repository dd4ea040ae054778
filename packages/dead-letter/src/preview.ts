/** The beginning of a prompt, for operators who may see it. Stored in plain text, hence off unless asked for. */
import { gunzipSync } from "node:zlib";
import { factsOf, jobRequestSchema, type JobData } from "@sluice/job";

/** Longest preview that is stored, in characters: previews sit in every letter. */
export const PREVIEW_LIMIT = 500;

/** A request is at most a few MiB; anything that unpacks to more is not one of ours. */
const MAX_REQUEST_BYTES = 16 * 1024 * 1024;

/** `false`: none is stored. `length`: that many characters (1 to 500) of the first user message. */
export type PreviewOption = false | { readonly length: number };

/** @throws RangeError on a length that cannot be stored. */
export function checkPreview(option: PreviewOption): void {
  if (option === false) return;
  const { length } = option;
  if (!Number.isInteger(length) || length < 1 || length > PREVIEW_LIMIT) {
    throw new RangeError(`Expected \`preview.length\` to be 1 to ${PREVIEW_LIMIT} characters, got ${length}`);
  }
}

/** The preview of a job's data; `undefined` when none is wanted or the request cannot be read. */
export function previewOf(data: JobData, option: PreviewOption): string | undefined {
  if (option === false) return undefined;
  try {
    const work = jobRequestSchema.parse({ kind: data.kind, request: JSON.parse(requestJson(data)) });
    const { opening } = factsOf(work);
    return opening === undefined ? undefined : shortened(opening, option.length);
  } catch {
    // Requests that cannot be read do die; their record is worth more than their preview.
    return undefined;
  }
}

function requestJson({ payload }: JobData): string {
  if (payload.encoding === "json") return payload.json;
  const limits = { maxOutputLength: MAX_REQUEST_BYTES };
  return gunzipSync(Buffer.from(payload.base64, "base64"), limits).toString("utf8");
}

const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });

/** One line of at most `length` characters, as a reader counts them. */
export function shortened(text: string, length: number): string {
  // Characters are at most a few code units long: the rest of a long prompt need not be walked.
  const start = text
    .slice(0, length * 8)
    .toWellFormed()
    .replace(/\s+/gu, " ")
    .trim();
  const characters = Array.from(graphemes.segment(start), ({ segment }) => segment);
  const whole = characters.length <= length && text.length <= length * 8;
  return whole ? start : `${characters.slice(0, length - 1).join("")}…`;
}
