/** Async calls, from Bedrock's acceptance to the end of the job. The fakes are those of the drain. */
import { NO_NOTES, type Invocation, type JobData } from "@sluice/job";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { pollDelayMs, Poller, type Held, type PollResult } from "../src/index.ts";
import { answer, newData, NOW, world, type Left, type World } from "./fakes.ts";

const started = (startedAt = NOW - 5_000): JobData =>
  newData({ kind: "async", invocation: { arn: "arn:aws:bedrock:async-invoke/abc", startedAt } });

interface Given {
  readonly cancelled?: boolean;
  readonly part?: Partial<Held>;
  readonly filteredMessage?: string;
}

function polled(result: PollResult, { cancelled = false, part = {}, filteredMessage }: Given = {}) {
  const w = world();
  const asked: string[] = [];
  const poller = new Poller({
    poll: async (arn) => {
      asked.push(arn);
      return result;
    },
    outcomes: {
      get: async (id) => w.outcomes.get(id),
      put: async (outcome) => {
        w.outcomes.set(outcome.id, outcome);
        return true;
      },
    },
    cancels: { isRequested: async () => cancelled },
    filteredMessage,
    abort: w.abort.signal,
    emit: (name, event) => void w.events.push({ name, event: { ...event } }),
    clock: () => NOW,
    random: () => 0.5,
  });
  const through = async (data: unknown): Promise<Left | undefined> => {
    const { job, left } = w.hold(data, part);
    await (
      await poller.take(job, w.stop.signal)
    )?.();
    return left[0];
  };
  return { w, asked, through } satisfies { w: World; asked: string[]; through: unknown };
}

describe("a poll", () => {
  test("that finds an answer stores it and completes the job", async () => {
    const { w, asked, through } = polled({ type: "answered", answer });
    const data = started();
    expect(await through(data)).toMatchObject({ how: "completed", reference: { outcome: "completed" } });
    expect(w.outcomes.get(data.id)).toMatchObject({ outcome: "completed", answer });
    expect(asked).toEqual(["arn:aws:bedrock:async-invoke/abc"]);
  });

  test("that finds it under way comes again, later each time, at no attempt", async () => {
    const { w, through } = polled({ type: "in-progress" }, { part: { attemptsStarted: 3 } });
    expect(await through(started())).toEqual({
      how: "deferred",
      deferral: { delayMs: 2_250, attempt: false },
    });
    expect(w.event("job:deferred")).toMatchObject({ reason: "polling" });
  });

  test("that fails is counted, and comes again twice as late", async () => {
    const failure = { kind: "transient", errorClass: "ServiceUnavailable", message: "" } as const;
    const { through } = polled({ type: "failed", failure });
    expect(await through(started())).toEqual({
      how: "deferred",
      deferral: { delayMs: 2_000, attempt: true, notes: { ...NO_NOTES, last: failure } },
    });
  });

  test("that finds it stopped is the job's end", async () => {
    const failure = { kind: "terminal", errorClass: "ValidationException", message: "no" } as const;
    const { through } = polled({ type: "stopped", failure });
    expect(await through(started())).toEqual({ how: "failed", failure });
  });

  test("after an hour without an answer is the job's end", async () => {
    const { through } = polled({ type: "in-progress" });
    expect(await through(started(NOW - 3_600_000))).toMatchObject({
      failure: { errorClass: "AsyncTimeout" },
    });
  });

  test("that fails says nothing of the call: it comes again, however long Bedrock has had it", async () => {
    const failure = { kind: "transient", errorClass: "ServiceUnavailable", message: "busy" } as const;
    const { through } = polled({ type: "failed", failure });
    expect(await through(started(NOW - 61 * 60_000))).toMatchObject({ how: "deferred" });
    expect(await through({ ...started(), deadlineAt: NOW - 59_000 })).toMatchObject({ how: "deferred" });
    expect(await through({ ...started(), deadlineAt: NOW - 60_000 })).toEqual({
      how: "failed",
      failure: { ...failure, message: "The deadline passed. The last call: busy" },
    });
  });

  test("that finds it under way after its deadline is the job's end, and one that finds an answer is a good one", async () => {
    const late = { ...started(), deadlineAt: NOW - 1 };
    expect(await polled({ type: "in-progress" }).through(late)).toMatchObject({
      failure: { errorClass: "DeadlineExceeded" },
    });
    expect(await polled({ type: "answered", answer }).through(late)).toMatchObject({ how: "completed" });
  });

  test("that finds it filtered stores the pool's own words, and nothing of the model's", async () => {
    const filtered = { ...answer, s3Uri: "s3://bucket/what-was-stopped", body: { words: "stopped" } };
    const { w, through } = polled({ type: "filtered", answer: filtered }, { filteredMessage: "No." });
    const data = started();
    await through(data);
    expect(w.outcomes.get(data.id)).toMatchObject({ outcome: "filtered", answer: { text: "No." } });
    expect(JSON.stringify(w.outcomes.get(data.id))).not.toContain("stopped");
    const plain = polled({ type: "filtered", answer: filtered });
    await plain.through(data);
    expect(plain.w.outcomes.get(data.id)).toMatchObject({ answer: filtered });
  });

  test("cut by the end of the process comes again at once", async () => {
    const { through } = polled({ type: "aborted" });
    expect(await through(started())).toEqual({ how: "deferred", deferral: { delayMs: 0, attempt: false } });
  });

  test("is not made for a job that nobody waits for", async () => {
    const { w, asked, through } = polled({ type: "in-progress" }, { cancelled: true });
    const data = started();
    expect(await through(data)).toMatchObject({ how: "completed", reference: { outcome: "cancelled" } });
    expect(w.outcomes.get(data.id)).toMatchObject({ outcome: "cancelled" });
    expect(asked).toEqual([]);
  });

  test.each([
    ["that cannot be read", { version: 9 }],
    ["without an invocation", newData()],
  ])("of a job %s ends it", async (_what, data) => {
    const { through } = polled({ type: "in-progress" });
    expect(await through(data)).toMatchObject({ how: "failed", failure: { errorClass: "MalformedJob" } });
  });

  test("of a job with another's data ends it", async () => {
    const { through } = polled({ type: "in-progress" }, { part: { id: started().id } });
    expect(await through(started())).toMatchObject({
      how: "failed",
      failure: { errorClass: "MalformedJob" },
    });
  });
});

test("pauses between polls grow, and stay between 1 and 30 seconds", () => {
  fc.assert(
    fc.property(fc.nat({ max: 5_000 }), fc.nat({ max: 5_000 }), (polls, errors) => {
      const delayMs = pollDelayMs(polls, errors);
      expect(delayMs).toBeGreaterThanOrEqual(1_000);
      expect(delayMs).toBeLessThanOrEqual(30_000);
      expect(pollDelayMs(polls + 1, errors)).toBeGreaterThanOrEqual(delayMs);
      expect(pollDelayMs(polls, errors + 1)).toBeGreaterThanOrEqual(delayMs);
    }),
  );
});

describe("a call that Bedrock has taken on", () => {
  const arn = "arn:aws:bedrock:async-invoke/abc";
  const request = { modelInput: { prompt: "A mill" }, outputS3Uri: "s3://answers/mills" };
  const data = newData({ kind: "async", payload: { encoding: "json", json: JSON.stringify(request) } });

  test("is named in its job before it is handed to the polls", async () => {
    const w = world({ call: () => ({ type: "started", invocationArn: arn }) });
    const kept: unknown[] = [];
    const keepInvocation = async (invocation: Invocation): Promise<void> => {
      w.log.push("job.keepInvocation");
      kept.push(invocation);
    };
    expect(await w.through(data, { keepInvocation })).toMatchObject({ how: "completed" });
    const steps = ["model.call", "job.keepInvocation", "polls.start", "job.complete"];
    expect(w.log.filter((step) => steps.includes(step))).toEqual(steps);
    expect(kept).toEqual([{ arn, startedAt: NOW }]);
  });

  test("is polled by whoever has the job next, who calls nothing and needs no quota", async () => {
    const polledData: JobData[] = [];
    const w = world({
      left: [{ reservation: `${data.id}/1/pool`, ifLost: { requests: 1 } }],
      options: { startPolling: async (handedOver) => void polledData.push(handedOver) },
    });
    const invocation = { arn, startedAt: NOW - 5_000 };
    const again = { attemptsStarted: 2, stalls: 21, invocation: async () => invocation };
    const late = { ...data, deadlineAt: NOW - 1 };
    expect(await w.through(late, again)).toEqual({ how: "completed", reference: { outcome: "started" } });
    expect(polledData).toEqual([{ ...late, invocation }]);
    expect(w.log).not.toContain("model.call");
    expect(w.log).not.toContain("gate.admit");
    expect(w.settlements).toContainEqual(
      expect.objectContaining({ id: `${data.id}/1/pool`, actual: { requests: 1 } }),
    );
    expect(w.event("job:started")).toMatchObject({ id: data.id, invocationArn: arn });
    expect([...w.drain.inHand]).toEqual([]);
  });
});
