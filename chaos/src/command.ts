/** What `main.ts` gives a scenario, and what it gets back. */

/** Where a scenario runs, and who hears how it goes. */
export interface RunOptions {
  /** Folder for data and logs. */
  readonly dataDir: string;
  /** Given services are used, others are started. */
  readonly redisUrl?: string | undefined;
  readonly dynamoDbUrl?: string | undefined;
  readonly onProgress: (line: string) => void;
}

export interface CommandContext extends RunOptions {
  readonly jobs: number;
  readonly seed: number;
  /** How long jobs may take, milliseconds. Of the scenarios that wait for all. */
  readonly timeoutMs: number;
  /** Parts of the scenario to run, by name. Default: all. */
  readonly cases: readonly string[] | undefined;
  /** Jobs of the arms of a case. */
  readonly sizes: readonly number[];
  /** Say which parts there are, and run none. */
  readonly list: boolean;
}

/** What a scenario comes to. */
export interface Verdict {
  readonly isGood: boolean;
  /** The last line of `--json`. */
  readonly figures: object;
}
