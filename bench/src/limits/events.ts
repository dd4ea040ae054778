/** Virtual time: things happen at their moment, in order, and nothing waits for a real clock. */

export interface Timeline {
  /** The virtual time in ms. */
  readonly now: () => number;
  /** Has `action` happen at `atMs`; things of the same moment happen in the order they were planned. */
  at(atMs: number, action: () => Promise<void> | void): void;
  /** Lets everything up to `untilMs` happen. */
  run(untilMs: number): Promise<void>;
}

interface Planned {
  readonly atMs: number;
  readonly order: number;
  readonly action: () => Promise<void> | void;
}

export function createTimeline(startMs: number): Timeline {
  const heap: Planned[] = [];
  let now = startMs;
  let order = 0;
  return {
    now: () => now,
    at(atMs, action) {
      push(heap, { atMs: Math.max(atMs, now), order: order++, action });
    },
    async run(untilMs) {
      for (let next = heap[0]; next && next.atMs <= untilMs; next = heap[0]) {
        pop(heap);
        now = next.atMs;
        // oxlint-disable-next-line no-await-in-loop -- one thing at a time is what makes the run repeatable
        await next.action();
      }
      now = untilMs;
    },
  };
}

function before(a: Planned, b: Planned): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

function push(heap: Planned[], planned: Planned): void {
  let i = heap.push(planned) - 1;
  while (i > 0) {
    const parent = (i - 1) >> 1;
    const above = heap[parent];
    if (!above || before(above, planned)) break;
    heap[i] = above;
    i = parent;
  }
  heap[i] = planned;
}

function pop(heap: Planned[]): void {
  const last = heap.pop();
  if (!last || heap.length === 0) return;
  let i = 0;
  for (;;) {
    let child = 2 * i + 1;
    const [left, right] = [heap[child], heap[child + 1]];
    if (!left) break;
    if (right && before(right, left)) child++;
    const smaller = heap[child] ?? left;
    if (!before(smaller, last)) break;
    heap[i] = smaller;
    i = child;
  }
  heap[i] = last;
}
