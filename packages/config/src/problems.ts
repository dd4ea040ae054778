/** What is wrong with a pools file, said so that the reader can repair it: where, what was expected, what is there. */
import type { z } from "zod";
import { INNER_KEYS, NAME_RULE } from "./schema.ts";

/** One thing to repair. */
export interface Problem {
  /** Keys from the top of the file, joined by dots. Empty for the file as a whole. */
  readonly path: string;
  /** Counted from 1; `undefined` when the problem has no place. */
  readonly line?: number;
  readonly message: string;
}

/** Problems of one message: a file of another kind has hundreds. */
const MOST_TOLD = 20;

function more(count: number): string[] {
  return count > 0 ? [`and ${count} more`] : [];
}

/** The pools file cannot be used. `problems` holds everything that is wrong with it, in the order of the file. */
export class PoolsFileError extends Error {
  override readonly name = "PoolsFileError";
  readonly code = "POOLS_FILE";
  readonly problems: readonly Problem[];

  constructor(source: string, problems: readonly Problem[], cause?: unknown) {
    const lines = problems.map(({ line, message }) =>
      line === undefined ? message : `line ${line}: ${message}`,
    );
    super(
      `Expected ${source} to be a pools file, found ${lines.length === 1 ? "a problem" : `${lines.length} problems`}:\n` +
        [...lines.slice(0, MOST_TOLD), ...more(lines.length - MOST_TOLD)]
          .map((line) => `  - ${line}`)
          .join("\n"),
      cause === undefined ? undefined : { cause },
    );
    this.problems = problems;
  }
}

/** A path in the file, keys and list positions. */
export type Path = readonly (string | number)[];

/** A problem before its line is known. */
export interface Finding {
  readonly path: Path;
  readonly message: string;
}

export function badName(path: Path): Finding {
  return { path, message: `Expected the name \`${told(path)}\` to be ${NAME_RULE}` };
}

/**
 * The findings in what a schema objects to.
 * @param value what was parsed, to show what is there.
 * @param keys the known keys, to show for an unknown one.
 */
export function findings(
  base: Path,
  issues: readonly z.core.$ZodIssue[],
  value: unknown,
  keys: readonly string[],
): Finding[] {
  return issues.flatMap((issue) => {
    const inner = within(
      value,
      issue.path.filter((step) => typeof step !== "symbol"),
    );
    const path = [...base, ...inner];
    if (issue.code === "unrecognized_keys") {
      const known = INNER_KEYS[String(issue.path[0])] ?? keys;
      return issue.keys.map((key) => ({ path: [...path, key], message: unknownKey([...path, key], known) }));
    }
    const place = path.length === 0 ? "the file" : `\`${told(path)}\``;
    // What stands where a mapping should may be of another file altogether, one of secrets.
    const isOther = issue.code === "invalid_type" && ["object", "record"].includes(issue.expected);
    const got = (isOther ? kindOf : show)(at(value, inner));
    return [{ path, message: `Expected ${place} to be ${issue.message}, got ${got}` }];
  });
}

function unknownKey(path: Path, keys: readonly string[]): string {
  return `Expected \`${told(path)}\` not to be there: the keys are ${keys.join(", ")}`;
}

const LONGEST_KEY = 60;

function told(path: Path): string {
  return path.map((step) => shortened(String(step), LONGEST_KEY)).join(".");
}

function shortened(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 3)}...`;
}

/** The part of a path that leads through what is there: a lane given by its name alone has no keys. */
function within(value: unknown, path: Path): Path {
  const end = path.findIndex((_, place) => {
    const inner = at(value, path.slice(0, place));
    return inner !== undefined && (typeof inner !== "object" || inner === null);
  });
  return end === -1 ? path : path.slice(0, end);
}

function at(value: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (inner, step) => (typeof inner === "object" && inner !== null ? Reflect.get(inner, step) : undefined),
    value,
  );
}

function show(value: unknown): string {
  if (value === undefined) return "nothing";
  // JSON has no word for them.
  if (typeof value === "number" && !Number.isFinite(value)) return String(value);
  return shortened(JSON.stringify(value) ?? typeof value, 80);
}

function kindOf(value: unknown): string {
  if (typeof value === "string") return "text";
  return Array.isArray(value) ? "a list" : show(value);
}
