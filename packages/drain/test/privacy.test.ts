import { expect, test } from "vitest";
import { answer, answered, failed, newData, SECRET, world, type Script } from "./fakes.ts";

test("no event, reference or deferral carries text of a prompt or an answer", async () => {
  const calls: NonNullable<Script["call"]>[] = [
    () => answered,
    () => ({ type: "filtered", answer }),
    () => failed(),
    () => failed("invalid"),
    () => ({ type: "aborted" }),
  ];
  for (const call of calls) {
    const w = world({ call });
    const left = await w.through(newData());
    const told = JSON.stringify([w.events, left, w.settlements]);
    expect(told).not.toContain(SECRET);
    expect(told).not.toContain(answer.text);
  }
});
