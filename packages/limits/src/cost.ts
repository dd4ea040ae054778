/** What a call costs: amounts in the dimensions that Bedrock limits. */

/** Quotas of a pool, refilled by the minute. */
export const rateDimensions = ["requests", "tokens", "input-tokens", "output-tokens"] as const;

/** Every dimension; `tokens-per-day` belongs to the scope, i.e. to all pools of one account and Region. */
export const dimensions = ["requests", "tokens", "input-tokens", "output-tokens", "tokens-per-day"] as const;

export type RateDimension = (typeof rateDimensions)[number];
export type Dimension = (typeof dimensions)[number];

/** Amounts per dimension. A dimension the pool has no quota for is ignored. */
export type Cost = Partial<Record<Dimension, number>>;

/**
 * Refuses amounts that would spoil a level for good: one NaN, and a pool never grants or never waits again.
 * @throws RangeError naming the amount.
 */
export function assertAmounts(amounts: Readonly<Record<string, number | undefined>>): void {
  for (const [name, amount] of Object.entries(amounts)) {
    if (amount === undefined || (Number.isFinite(amount) && amount >= 0)) continue;
    throw new RangeError(`Expected \`${name}\` to be a number of at least 0, got ${amount}`);
  }
}
