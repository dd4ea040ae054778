/**
 * What calls of vanished workers still hold of the quota. The ledger names it from right before a call is sent until it is
 * settled, so whoever meets the job next, or ends it, settles it, however much later that is.
 *
 * A grant that was waiting for its start when its worker vanished is not in the ledger: it is named by the fetch before
 * the stall, and was not used at all.
 */
import type { Answer, Outcome } from "@sluice/job";
import type { DrainOptions } from "./candidate.ts";
import { describe } from "./describe.ts";
import type { Cost, Entry, Gate, HeldQuota, Ledger } from "./ports.ts";
import { NOTHING } from "./settlement.ts";

/** Fetches whose grant may be left: the one before the stall, and one more that could find nothing out. */
const FETCHES_BACK = 2;

/** A job as far as its reservations are concerned. */
export interface LeftJob {
  readonly id: string;
  /** Times it was fetched before now. */
  readonly fetched: number;
  /** Times its worker vanished under it: without that, nothing is left. */
  readonly stalls: number;
}

export interface LeftCallsOptions {
  /** Pools that may have granted a call of the job. */
  readonly pools: readonly string[];
  readonly gateOf: (pool: string) => Pick<Gate, "settle"> | undefined;
  readonly ledger: Pick<Ledger, "left" | "forget">;
  /** What a call of the pool cost that was answered. Default: it counts as reserved. */
  readonly answeredCost?: (pool: string, answer: Answer) => Cost;
  /** A reservation could not be settled: it counts as reserved until its time is over. */
  readonly onError: (error: unknown) => void;
}

export class LeftCalls {
  readonly #options: LeftCallsOptions;

  constructor(options: LeftCallsOptions) {
    this.#options = options;
  }

  /** Settles what the ledger has named. Never rejects. */
  async settle(id: string, left: readonly HeldQuota[]): Promise<void> {
    const settled = await Promise.all(
      left.map(async ({ reservation, ifLost }) =>
        (await this.#settleOne(reservation, ifLost)) ? [reservation] : [],
      ),
    );
    await this.#options.ledger.forget(id, settled.flat()).catch(this.#options.onError);
  }

  /**
   * Settles grants that never started. Never rejects.
   * @param left what the ledger has named is none of them, also if it could not be settled.
   * @param actualOf what they used in a pool. Default: nothing. A program of the version before may have called with one,
   * and has named it nowhere.
   */
  async settleGrants(
    { id, fetched }: LeftJob,
    left: readonly HeldQuota[],
    actualOf = (_pool: string): Cost => NOTHING,
  ): Promise<void> {
    const named = new Set(left.map(({ reservation }) => reservation));
    const settling: Promise<unknown>[] = [];
    for (let fetch = Math.max(1, fetched - FETCHES_BACK + 1); fetch <= fetched; fetch += 1) {
      for (const pool of this.#options.pools) {
        const name = reservationId(id, fetch, pool);
        if (!named.has(name)) settling.push(this.#settleOne(name, actualOf(pool)));
      }
    }
    await Promise.all(settling);
  }

  /** Settles all that is left of a job that ends, or has ended. Never rejects. */
  async settleAll(job: LeftJob, ended?: Outcome): Promise<void> {
    if (job.stalls === 0) return;
    const { ledger, onError } = this.#options;
    const answeredOf = this.#answeredOf(ended);
    const { reservation } = ended ?? {};
    let left: readonly HeldQuota[];
    try {
      left = await ledger.left(job.id);
    } catch (error) {
      // What is held is not known: settling it as unused would be wrong.
      onError(error);
      return;
    }
    const named = reservation === undefined ? [] : [{ reservation, ifLost: answeredOf(poolOf(reservation)) }];
    await this.settle(job.id, [...named, ...left]);
    await (ended !== undefined && "answer" in ended && reservation === undefined
      ? this.settleGrants(job, left, answeredOf)
      : this.settleGrants(job, [...named, ...left]));
  }

  /** What the call cost that was answered; of an answer that is not known, as much as was reserved. */
  #answeredOf(ended: Outcome | undefined): (pool: string) => Cost {
    const { answeredCost } = this.#options;
    if (ended === undefined || !("answer" in ended) || answeredCost === undefined) return () => ({});
    return (pool) => answeredCost(pool, ended.answer);
  }

  /** Resolves to whether the gate has heard. The first to settle a reservation counts. */
  async #settleOne(reservation: string, actual: Cost): Promise<boolean> {
    const pool = poolOf(reservation);
    const { gateOf, onError } = this.#options;
    try {
      await gateOf(pool)?.settle({ pool, id: reservation, outcome: "neutral", actual });
      return true;
    } catch (error) {
      onError(error);
      return false;
    }
  }
}

/** What calls of a chain's pools left. Of a job that dies the mover sees to it. */
export function leftInChain({
  chain,
  ledger,
  emit,
}: Pick<DrainOptions, "chain" | "ledger" | "emit">): LeftCalls {
  const entryOf = (name: string): Entry | undefined => chain.find(({ pool }) => pool === name);
  return new LeftCalls({
    pools: chain.map(({ pool }) => pool),
    gateOf: (pool) => entryOf(pool)?.gate,
    ledger,
    answeredCost: (pool, { usage }) => entryOf(pool)?.model.settled(usage) ?? {},
    onError: (error) => emit("worker:error", { part: "gate", error: describe(error) }),
  });
}

/** @param fetched how often the job had been fetched: a name for each time it asks. */
export function reservationId(id: string, fetched: number, pool: string): string {
  return `${id}/${fetched}/${pool}`;
}

function poolOf(reservation: string): string {
  return reservation.slice(reservation.lastIndexOf("/") + 1);
}
