/**
 * What is printed. A terminal obeys control characters, and names, reasons and answers come from elsewhere: letters, jobs,
 * the API, files. So no text reaches it with any, whoever has put the text together.
 */
import { scrubText } from "@sluice/job";

/** Control characters, what turns the direction of writing, and what ends a line for some terminals. */
const UNSEEN = /[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu;

/** A text from elsewhere, on one line: what cannot be seen is written out, e.g. `\u001b`. */
export function printable(text: string): string {
  return text.replace(UNSEEN, escaped);
}

/** Prints lines of ours to standard output. Line ends are kept, all else that cannot be seen is written out. */
export function print(lines: string): void {
  process.stdout.write(`${shown(lines)}\n`);
}

/** As `print`, to standard error: what is for people beside the output. Passwords of URLs are left out. */
export function tell(lines: string): void {
  process.stderr.write(`${shown(scrubText(lines))}\n`);
}

/** As `tell`, of a text that has its own line ends: what the parser of the command line has to say. */
export function tellParsing(text: string): void {
  process.stderr.write(shown(scrubText(text)));
}

/** Prints a value as JSON that has the same meaning and nothing that cannot be seen. */
export function printJson(value: unknown, indent?: number): void {
  print(JSON.stringify(value, undefined, indent));
}

function shown(lines: string): string {
  return lines.split("\n").map(printable).join("\n");
}

function escaped(character: string): string {
  return `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, "0")}`;
}
