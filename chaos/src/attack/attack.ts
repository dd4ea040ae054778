/** What an attack is: a sentence that must hold, and the try to make it false. */
import type { Site } from "./site.ts";

export interface Attack {
  /** Unique in its case. */
  readonly name: string;
  /** What must hold, for the reader of the list. */
  readonly holds: string;
  /** Rejects with what was found when it does not hold. */
  readonly run: (site: Site) => Promise<void>;
}

/** Attacks of one kind. */
export interface AttackCase {
  readonly name: string;
  readonly attacks: readonly Attack[];
  /** Waits for time limits and disturbs nobody: runs beside the other cases. Default: in its turn. */
  readonly beside?: boolean;
}

/** Something that must hold does not. */
export class Fell extends Error {
  override readonly name = "Fell";
}

/** @throws Fell with what was found instead. */
export function must(holds: boolean, found: string): asserts holds {
  if (!holds) throw new Fell(found);
}

/** @throws Fell unless the status is one of those. */
export function mustAnswer(
  { status, text }: { readonly status: number; readonly text: string },
  among: readonly number[],
  what: string,
): void {
  must(
    among.includes(status),
    `${what}: answered ${status}, expected ${among.join(" or ")}: ${text.slice(0, 200)}`,
  );
}
