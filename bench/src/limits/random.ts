/** Seeded randomness, so that a figure can be printed twice. */

export interface Random {
  /** In [0, 1). */
  next(): number;
  /** Log-normal with the given mean: what prompt and answer lengths look like. */
  size(mean: number, sigma?: number): number;
  /** Time to the next arrival of a Poisson process, in the unit of `mean`. */
  gap(mean: number): number;
}

export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  // mulberry32
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const normal = (): number => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
  return {
    next,
    size: (mean, sigma = 0.5) => Math.max(1, Math.round(mean * Math.exp(sigma * normal() - sigma ** 2 / 2))),
    gap: (mean) => -mean * Math.log(1 - next()),
  };
}
