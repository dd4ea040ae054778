/** The letters of one error class as a queue of Bull Board. Type `bull`: as a BullMQ queue it would break flow views. */
import { BaseAdapter } from "@bull-board/api/dist/queueAdapters/base.js";
import type {
  JobCleanStatus,
  JobCounts,
  JobStatus,
  QueueJob,
  QueueMetrics,
  Status,
} from "@bull-board/api/typings/app";
import type { DeadLetterState } from "@sluice/dead-letter";
import { adviceFor, type Clock } from "@sluice/job";
import { letterUrl } from "../paths.ts";
import { Refused } from "../refusal.ts";
import { readRequest } from "./edit.ts";
import { historyLines } from "./history.ts";
import { listedJob, openedJob, STATUS_OF, type LetterActions } from "./letter-job.ts";
import { STATES, type LetterView } from "./letter-view.ts";

export interface LetterAdapterOptions {
  readonly errorClass: string;
  readonly writable: boolean;
  readonly view: LetterView;
  readonly actions: LetterActions;
  /** How far replays of this class are, in words. */
  readonly progress: (errorClass: string) => string | undefined;
  readonly clock: Clock;
}

/** The state behind a tab; `undefined` for tabs that dead letters do not have. */
function stateOf(status: JobStatus | JobCleanStatus): DeadLetterState | undefined {
  return STATES.find((state) => STATUS_OF[state] === status);
}

export const QUEUE_PREFIX = "dead-letter.";

/** A name that only Bedrock, or a proxy before it, knows. */
const UNKNOWN_CLASS = "No table knows this class. Its letters have Bedrock's own message";

/** Deletes at most so many with one click. */
const MOST_CLEANED = 1_000;

export class LetterAdapter extends BaseAdapter {
  readonly #options: LetterAdapterOptions;
  #isDeleting = false;

  constructor(options: LetterAdapterOptions) {
    super("bull", {
      readOnlyMode: !options.writable,
      allowCompletedRetries: false,
      delimiter: ".",
      externalJobUrl: ({ id }) => ({
        displayText: "Open letter",
        href: letterUrl(String(id)),
      }),
    });
    this.#options = options;
  }

  override getDescription(): string {
    const { errorClass, view, progress } = this.#options;
    return view.problem(errorClass) ?? progress(errorClass) ?? adviceFor({ errorClass }) ?? UNKNOWN_CLASS;
  }

  getName(): string {
    return `${QUEUE_PREFIX}${this.#options.errorClass}`;
  }

  getStatuses(): Status[] {
    return ["latest", ...this.getJobStatuses()];
  }

  getJobStatuses(): JobStatus[] {
    return ["failed", "active", "completed", "delayed"];
  }

  async getJobCounts(): Promise<JobCounts> {
    const { dead, replaying, resolved, parked } = await this.#options.view.counts(this.#options.errorClass);
    return { failed: dead, active: replaying, completed: resolved, delayed: parked };
  }

  async getJobs(statuses: JobStatus[], start = 0, end = 9): Promise<QueueJob[]> {
    const { errorClass, view, actions } = this.#options;
    const states = statuses.flatMap((status) => stateOf(status) ?? []);
    const letters = await view.page(errorClass, states, start, end);
    return letters.map((letter) => listedJob(letter, actions));
  }

  /** A letter that has died of something else since still opens here: a link to it stays good. */
  async getJob(id: string): Promise<QueueJob | undefined> {
    const { view, actions, writable } = this.#options;
    const letter = await view.get(id);
    return letter && openedJob(letter, await readRequest(letter), actions, { editable: writable });
  }

  async getJobLogs(id: string): Promise<string[]> {
    const letter = await this.#options.view.get(id);
    return letter === undefined ? [] : historyLines(letter);
  }

  /** Bull Board asks for all that are older than a grace. Newest first, so what is too young is stepped over. */
  async clean(status: JobCleanStatus, graceMs: number): Promise<void> {
    const state = stateOf(status);
    if (state === undefined) throw new Refused(400, `There is nothing to delete on the tab ${status}`);
    await this.#delete([state], this.#options.clock() - graceMs);
  }

  async empty(): Promise<void> {
    await this.#delete(["dead", "parked"], this.#options.clock());
  }

  /** One at a time: a second click would read and delete the same letters. */
  async #delete(states: readonly DeadLetterState[], until: number): Promise<void> {
    if (this.#isDeleting) throw new Refused(409, "Letters of this class are being deleted already");
    this.#isDeleting = true;
    await this.#deleteAll(states, until).finally(() => {
      this.#isDeleting = false;
    });
  }

  async #deleteAll(states: readonly DeadLetterState[], until: number): Promise<void> {
    const { actions, errorClass } = this.#options;
    let deleted = 0;
    for (const state of states) {
      let cursor: string | undefined;
      do {
        const from = cursor === undefined ? {} : { cursor };
        const page = await actions.store.list({ by: { errorClass }, state, until, limit: 100, ...from });
        await Promise.all(page.items.map(async ({ id, revision }) => actions.store.purge(id, { revision })));
        deleted += page.items.length;
        ({ cursor } = page);
      } while (cursor !== undefined && deleted < MOST_CLEANED);
    }
    actions.onChange();
  }

  async promoteAll(): Promise<void> {
    throw new Refused(405, "Take parked letters back one by one, or select them on the page of dead letters");
  }

  async addJob(): Promise<QueueJob> {
    throw new Refused(405, "A dead letter is made by a job that dies. Replay it instead");
  }

  async getMetrics(): Promise<QueueMetrics> {
    throw new Refused(404, "Dead letters are not counted by the minute");
  }

  async getRedisInfo(): Promise<string | null> {
    return null;
  }

  async isPaused(): Promise<boolean> {
    return false;
  }

  async pause(): Promise<void> {
    throw new Refused(405, "Dead letters cannot be paused");
  }

  async resume(): Promise<void> {
    throw new Refused(405, "Dead letters cannot be paused");
  }

  async obliterate(): Promise<void> {
    throw new Refused(405, "Dead letters are deleted one by one, or by tab");
  }

  async removeJobScheduler(): Promise<boolean> {
    return false;
  }

  async getJobSchedulers(): Promise<[]> {
    return [];
  }

  async getJobSchedulersCount(): Promise<number> {
    return 0;
  }

  async updateJobScheduler(): Promise<"not-found"> {
    return "not-found";
  }

  async runJobSchedulerNow(): Promise<"not-found"> {
    return "not-found";
  }

  async getGlobalConcurrency(): Promise<number | null> {
    return null;
  }

  async setGlobalConcurrency(): Promise<void> {
    throw new Refused(405, "Dead letters have no concurrency");
  }
}
