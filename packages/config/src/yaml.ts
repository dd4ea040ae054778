/** YAML with places: the value, the syntax errors, and the line on which a path stands. */
import { isMap, isNode, isScalar, isSeq, LineCounter, parseDocument } from "yaml";
import type { Path, Problem } from "./problems.ts";

export interface YamlFile {
  readonly value: unknown;
  readonly errors: readonly Problem[];
  /** The line of a path, or of the nearest key above it that is there. */
  lineOf(path: Path): number | undefined;
}

export function readYaml(text: string): YamlFile {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, stringKeys: true });
  const lineAt = (offset: number): number => lines.linePos(offset).line;
  const errors = document.errors.map((error) => ({
    path: "",
    line: lineAt(error.pos[0]),
    message: `Expected YAML or JSON: ${error.code === "TAG_RESOLVE_FAILED" ? "A tag that is not known" : withoutSource(error.message)}`,
  }));
  return {
    value: errors.length === 0 ? document.toJS() : undefined,
    errors,
    lineOf(path) {
      let node: unknown = document.contents;
      let line: number | undefined;
      for (const step of path) {
        if (isMap(node)) {
          const pair = node.items.find(({ key }) => isScalar(key) && key.value === step);
          if (!isScalar(pair?.key) || !pair.key.range) break;
          line = lineAt(pair.key.range[0]);
          node = pair.value;
        } else if (isSeq(node) && typeof step === "number") {
          node = node.items[step];
          if (isNode(node) && node.range) line = lineAt(node.range[0]);
        } else break;
      }
      return line;
    },
  };
}

/** The parser quotes the text it could not read, after a colon; a file that is none of ours may hold secrets. */
function withoutSource(message: string): string {
  return message.split(":", 1)[0]?.slice(0, 120) ?? "";
}
