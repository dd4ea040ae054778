/** Who asks at the gate of a lane: one at a time, in the order they came. */
export class Line {
  #last: Promise<void> = Promise.resolve();

  /**
   * Resolves to the way out when it is the caller's turn, or when the signal fires: who leaves early leaves its place
   * to the next all the same.
   */
  async enter(signal: AbortSignal): Promise<() => void> {
    const { promise: left, resolve: leave } = Promise.withResolvers<void>();
    const before = this.#last;
    this.#last = before.then(async () => left);
    await Promise.race([before, fired(signal)]);
    return leave;
  }
}

async function fired(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
