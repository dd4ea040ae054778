/**
 * An async call between Bedrock's acceptance and its first poll. It is paid for, and only its ARN leads to the answer: that
 * is named in the job before anything else, which Redis takes when it is full too, so a process that must leave before the
 * polls have the call leaves it to whoever has the job next.
 */
import type { Invocation, JobData } from "@sluice/job";
import type { DrainOptions, Turn } from "./candidate.ts";
import { refsOf } from "./job-ends.ts";
import { insist } from "./insist.ts";
import type { Held } from "./ports.ts";

const NEVER: AbortSignal = new AbortController().signal;

export class StartedCalls {
  readonly #options: DrainOptions;

  constructor(options: DrainOptions) {
    this.#options = options;
  }

  /** Hands a call over to the polls that Bedrock has just taken on. Rejects when the process has no time left. */
  async handOver(job: Held, data: JobData, arn: string): Promise<void> {
    const invocation = { arn, startedAt: this.#options.clock() };
    await this.#insist(async () => job.keepInvocation(invocation));
    await this.#poll(data, invocation);
  }

  /** Its lane lets the job go. */
  async complete(job: Held, data: JobData, invocationArn: string): Promise<void> {
    await job.complete({ outcome: "started" });
    this.#options.emit("job:started", { ...refsOf(data), invocationArn });
  }

  /** The turn of a job whose call an earlier try has started: it needs no quota, and nothing is called again. */
  turn(job: Held, data: JobData, invocation: Invocation, onOver: () => void): Turn {
    return {
      waitMs: 0,
      atOnce: true,
      off: NEVER,
      start: async () => async () => {
        try {
          await this.#poll(data, invocation);
          await this.complete(job, data, invocation.arn);
        } finally {
          onOver();
        }
      },
    };
  }

  async #poll(data: JobData, invocation: Invocation): Promise<void> {
    await this.#insist(async () => this.#options.startPolling({ ...data, invocation }));
  }

  async #insist(step: () => Promise<void>): Promise<void> {
    const { emit, abort, sleep } = this.#options;
    await insist(step, { part: "polls", signal: abort, emit, sleep });
  }
}
