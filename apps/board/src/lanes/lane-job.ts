/** A job of a lane in the words of Bull Board: how it stands and what went wrong, without what was asked. */
import type { JobState, QueueJob, QueueJobJson } from "@bull-board/api/typings/app";
import type { ListedJob, OpenedJob } from "@sluice/queue";
import { z } from "zod";
import { redactData } from "../redact.ts";
import { Refused } from "../refusal.ts";

/** As a list shows it: its data is not read. */
export function listedLaneJob(job: ListedJob): QueueJob {
  return new LaneJob(job, { storedBytes: job.dataBytes, request: "Open the job to see whose it is" });
}

/** As its own page shows it. */
export function openedLaneJob(job: OpenedJob): QueueJob {
  return new LaneJob(job, redactData(job.data, job.dataBytes));
}

/** What BullMQ keeps of an end that the lane calls "completed". */
const referenceSchema = z.looseObject({ outcome: z.string() });

/** As BullMQ stores them, under its own short names. */
const optsSchema = z.looseObject({ delay: z.number().optional().catch(undefined) }).catch({});

const ENDS: Readonly<Record<string, string>> = {
  filtered: "filtered: a content filter stopped it",
  cancelled: "cancelled: nobody wanted it any more",
  started: "started at Bedrock: its end is polled for",
};

class LaneJob implements QueueJob {
  readonly id: string;
  readonly opts: QueueJob["opts"];
  readonly #job: ListedJob;
  readonly #data: object;

  constructor(job: ListedJob, data: object) {
    this.id = job.id;
    this.opts = optsSchema.parse(job.opts);
    this.#job = job;
    this.#data = data;
  }

  toJSON(): QueueJobJson {
    const { id, name, timestamp, processedOn, finishedOn, attemptsMade, attemptsStarted, ...rest } =
      this.#job;
    const { progress, returnvalue, failedReason, stacktrace, delay, priority, stalls, state } = rest;
    // What an earlier try failed with is no news of a job that was answered after it.
    const isAnswered = state === "completed";
    return {
      id,
      name: isAnswered ? named(name, returnvalue) : name,
      progress: isProgress(progress) ? progress : 0,
      attemptsMade,
      attemptsStarted,
      stalledCounter: stalls,
      timestamp,
      ...(processedOn === undefined ? {} : { processedOn }),
      ...(finishedOn === undefined ? {} : { finishedOn }),
      delay,
      priority,
      failedReason: isAnswered ? "" : (failedReason ?? ""),
      stacktrace: isAnswered ? [] : [...stacktrace],
      data: this.#data,
      returnvalue: returnvalue ?? null,
      opts: this.opts,
    };
  }

  async getState(): Promise<JobState> {
    return JOB_STATES.find((state) => state === this.#job.state) ?? "unknown";
  }

  async retry(): Promise<void> {
    throw readOnly();
  }

  async promote(): Promise<void> {
    throw readOnly();
  }

  async remove(): Promise<void> {
    throw readOnly();
  }

  async updateData(): Promise<void> {
    throw readOnly();
  }
}

const JOB_STATES = [
  "active",
  "waiting",
  "waiting-children",
  "prioritized",
  "completed",
  "failed",
  "delayed",
] as const satisfies readonly JobState[];

/** A job's kind, and how it ended where that is not by an answer. */
function named(kind: string, returnvalue: unknown): string {
  const end = ENDS[referenceSchema.safeParse(returnvalue).data?.outcome ?? ""];
  return end === undefined ? kind : `${kind} · ${end}`;
}

function isProgress(value: unknown): value is number | object {
  return typeof value === "number" || (typeof value === "object" && value !== null);
}

function readOnly(): Refused {
  return new Refused(
    405,
    "Lanes are only to be looked at. A job that failed becomes a dead letter: replay that",
  );
}
