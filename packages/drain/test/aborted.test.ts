/** Calls that end by our own signal. */
import { describe, expect, test } from "vitest";
import { answered, newData, NOW, world, type Script } from "./fakes.ts";

const untilAborted: Script["call"] = async ({ signal }) => {
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve));
  return { type: "aborted" };
};

describe("a call that is aborted", () => {
  test("because the process has no time left is charged as reserved, and the job handed back", async () => {
    const w = world({ call: untilAborted });
    const left = w.through(newData());
    await expect.poll(() => w.log).toContain("model.call");
    w.abort.abort();
    expect(await left).toEqual({ how: "deferred", deferral: { delayMs: 0, attempt: false } });
    expect(w.settlements).toMatchObject([{ outcome: "neutral", actual: {} }]);
    expect(w.event("job:deferred")).toMatchObject({ reason: "shutdown" });
  });

  test("at its deadline is the job's end", async () => {
    const w = world({ call: untilAborted });
    expect(await w.through(newData({ deadlineAt: NOW + 30 }))).toMatchObject({
      how: "failed",
      failure: { errorClass: "DeadlineExceeded" },
    });
    expect(w.settlements).toHaveLength(1);
  });

  test("because its caller cancelled ends the job as cancelled", async () => {
    const w = world({ call: untilAborted });
    const data = newData();
    const left = w.through(data);
    await expect.poll(() => w.log).toContain("model.call");
    w.drain.cancel(data.id);
    expect(await left).toEqual({ how: "completed", reference: { outcome: "cancelled" } });
    expect(w.outcomes.get(data.id)).toMatchObject({ outcome: "cancelled" });
  });

  test("is not one with a deadline farther away than Node's timers reach", async () => {
    const w = world({
      call: async ({ signal }) => {
        await new Promise((resolve) => setImmediate(resolve));
        return signal.aborted ? { type: "aborted" } : answered;
      },
    });
    const days = 24 * 3_600_000;
    for (const deadlineAt of [NOW + 25 * days, NOW + 60 * days]) {
      expect(await w.through(newData({ deadlineAt }))).toMatchObject({ how: "completed" });
    }
  });
});
