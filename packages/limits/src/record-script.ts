/** Adds to a list of what people did, also on a Redis that has no memory left. */
import { defineScript, type Script } from "@sluice/redis";

/** Lines of a list that are kept. The oldest go. */
const KEPT = 100;

export interface RecordedLine {
  /** The list. */
  readonly key: string;
  readonly line: string;
  /** Told to whoever listens, with the line. */
  readonly news?: { readonly channel: string; readonly text: string };
}

/** Rejects when the line was not written. */
export const recordLine: Script<RecordedLine, undefined> = defineScript(
  new URL("../lua/record.lua", import.meta.url),
  ({ key, line, news }) => ({ keys: [key], argv: [line, KEPT, news?.channel ?? "", news?.text ?? ""] }),
  () => undefined,
  { whenFull: true },
);
