/** What the simulator says happened, read page by page as it happens. */
import { z } from "zod";

const callSchema = z.object({
  seq: z.number(),
  startedAt: z.number(),
  endedAt: z.number(),
  admitted: z.boolean(),
  settledTokens: z.number(),
  outcome: z.string(),
  requestMetadata: z.record(z.string(), z.string()).nullable(),
});
export type SimulatedCall = z.infer<typeof callSchema>;

const pageSchema = z.object({ calls: z.array(callSchema), next: z.number(), forgotten: z.number() });

/** The name under which a call carries its job's id. */
const JOB_ID = "jobId";

/** The job a call was made for. */
export function jobOf(call: SimulatedCall): string | undefined {
  return call.requestMetadata?.[JOB_ID];
}

const PAGE = 1_000;

export class Evidence {
  readonly #url: string;
  readonly #calls: SimulatedCall[] = [];
  #after = 0;

  constructor(simulatorUrl: string) {
    this.#url = simulatorUrl;
  }

  /** Every finished call read so far, in the order of ending. */
  get calls(): readonly SimulatedCall[] {
    return this.#calls;
  }

  /** Reads on to the newest call. */
  async refresh(): Promise<void> {
    for (;;) {
      const response = await fetch(`${this.#url}/_sim/calls?after=${this.#after}&limit=${PAGE}`);
      const page = pageSchema.parse(await response.json());
      this.#calls.push(...page.calls);
      this.#after = page.next;
      if (page.calls.length < PAGE) return;
    }
  }
}
