/** What a trial is: a sentence that must hold, and the try to make it false. */

/** @typeParam Site What the trials of a scenario share. */
export interface Trial<Site> {
  /** Unique in its case. */
  readonly name: string;
  /** What must hold, for the reader of the list. */
  readonly holds: string;
  /** Resolves to what was measured on the way, if anything. Rejects with what was found when it does not hold. */
  readonly run: (site: Site) => Promise<Measured | void>;
}

/** Figures by name, the unit in the name. */
export type Measured = Readonly<Record<string, number>>;

/** Trials of one kind. */
export interface TrialCase<Site> {
  readonly name: string;
  readonly trials: readonly Trial<Site>[];
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
