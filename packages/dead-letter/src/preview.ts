/** The beginning of a prompt, for operators who may see it. Stored in plain text, hence off unless asked for. */
import { factsOf, jobRequestSchema, type JobData } from "@sluice/job";
import { decodePayload } from "@sluice/job/payload";

/** Longest preview that is stored, in characters: previews sit in every letter. */
export const PREVIEW_LIMIT = 500;

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
export async function previewOf(data: JobData, option: PreviewOption): Promise<string | undefined> {
  if (option === false) return undefined;
  try {
    const work = jobRequestSchema.parse({ kind: data.kind, request: await decodePayload(data.payload) });
    const { opening } = factsOf(work);
    return opening === undefined ? undefined : shortened(opening, option.length);
  } catch {
    // Requests that cannot be read do die; their record is worth more than their preview.
    return undefined;
  }
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
