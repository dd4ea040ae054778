/** One pool of a worker: what becomes of its jobs, its lanes, and the polls of its async calls. */
import { Drain, LeftCalls, POLL_GRACE_MS, Poller, type Outbox } from "@sluice/drain";
import { decodePayload } from "@sluice/job/payload";
import { POLLS_LANE, Slots } from "@sluice/queue";
import { tellError, type Fittings } from "./fittings.ts";
import { WorkerLane } from "./lane.ts";
import { chainOf, entryOf, type PoolCalls } from "./pool-calls.ts";

export interface WorkerPoolOptions {
  readonly fittings: Fittings;
  readonly calls: PoolCalls;
  /** All pools of this worker, by name: those whose jobs it may answer, and those that may answer its jobs. */
  readonly all: ReadonlyMap<string, PoolCalls>;
}

/** How often calls are looked for that hang, milliseconds. */
const HANG_LOOK_MS = 1_000;

/** Bedrock takes at least this long over an async call, milliseconds. */
const FIRST_POLL_MS = 1_000;

/** Polls are short, and none waits for quota. */
const POLL_SLOTS = 8;

export class WorkerPool {
  readonly calls: PoolCalls;
  readonly drain: Drain;
  readonly #lanes: readonly WorkerLane[];
  #looking: NodeJS.Timeout | undefined;

  constructor({ fittings, calls, all }: WorkerPoolOptions) {
    this.calls = calls;
    const { pool, open, scope, slots } = calls;
    const { time, emit, abort } = fittings;
    const chain = chainOf(calls, all);
    const [own, ...fallbacks] = chain;
    const common = {
      outcomes: scope.outcomes,
      cancels: scope.cancels,
      filteredMessage: pool.filteredMessage ?? undefined,
      abort,
      emit,
      random: Math.random,
    };
    const drain = new Drain({
      ...common,
      ...time,
      chain: [entryOf(own, pool), ...fallbacks.map((each) => entryOf(each, pool))],
      ledger: scope.ledger,
      cache: scope.cache,
      chunks: scope.chunks,
      decodePayload,
      startPolling: async (data) => open.polls.add(data, FIRST_POLL_MS, POLL_GRACE_MS),
    });
    this.drain = drain;
    const bedrock = scope.bedrockFor(pool.name);
    const poller = new Poller({
      ...common,
      clock: time.clock,
      poll: async (invocationArn, signal) =>
        bedrock.pollAsync({ invocationArn, signal, timeoutMs: pool.callTimeoutMs }),
    });
    const left = new LeftCalls({
      pools: chain.map((each) => each.pool.name),
      gateOf: (name) => all.get(name)?.scope.gate,
      ledger: scope.ledger,
      answeredCost: (name, { usage }) => all.get(name)?.model.settled(usage) ?? {},
      onError: tellError(emit, "gate"),
    });
    const lanes = pool.lanes.map(
      (lane) =>
        new WorkerLane({
          fittings,
          calls,
          lane,
          chain,
          slots,
          take: async (job, signal) => drain.take(job, signal),
          ready: async (signal) => drain.ready(signal),
          left,
        }),
    );
    const polls = new WorkerLane({
      fittings,
      calls,
      lane: POLLS_LANE,
      // What Bedrock works on already is asked about where it was started.
      chain: [calls],
      slots: new Slots([POLLS_LANE], POLL_SLOTS),
      take: async (job, signal) => poller.take(job, signal),
      ready: async () => {},
      left,
    });
    this.#lanes = [...lanes, polls];
  }

  get outboxes(): readonly Outbox[] {
    return this.#lanes.map(({ outbox }) => outbox);
  }

  /** Calls in flight. */
  get running(): number {
    return this.#lanes.reduce((sum, lane) => sum + lane.running, 0);
  }

  /** Jobs that Redis would have to take back, those of the calls included. */
  get inHand(): number {
    return this.#lanes.reduce((sum, lane) => sum + lane.inHand, 0);
  }

  async start(): Promise<void> {
    this.#looking = setInterval(() => this.calls.hung.check(), HANG_LOOK_MS);
    await Promise.all(this.#lanes.map(async (lane) => lane.start()));
  }

  /** Takes no more jobs. Resolves when those in hand have ended, or were handed back. */
  async leave(): Promise<void> {
    clearInterval(this.#looking);
    await Promise.all(this.#lanes.map(async (lane) => lane.leave()));
  }

  /** After `leave`: ends what is left of it. */
  async stop(): Promise<void> {
    await Promise.all(this.#lanes.map(async (lane) => lane.stop()));
  }
}
