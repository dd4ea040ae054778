/** An error in a line, for logs and for the history of a letter. */
import { scrubError } from "@sluice/job";

/** Room for what AWS says of a denial, whose end says why. Characters. */
const LINE_LENGTH = 1_000;

/** The first line of an error, short enough for a log, and of it only what may be told. */
export function describe(error: unknown): string {
  const { name, message, code } = scrubError(error);
  const said = message === "" ? String(code ?? "") : message;
  const text = error instanceof Error ? `${name}: ${said}` : said;
  return (text.split("\n", 1)[0] ?? "").slice(0, LINE_LENGTH);
}
