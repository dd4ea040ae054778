/** Lines of the lists of what people did, which any version may have written. */

/** What a line holds; `undefined` for one that is no JSON. */
export function parsedLine(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
