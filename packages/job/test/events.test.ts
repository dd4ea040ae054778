import { describe, expect, test } from "vitest";
import { emitter, type Listener } from "../src/index.ts";

const recorder = (heard: unknown[]): Listener => {
  return (name, event) => void heard.push([name, event]);
};

const broken: Listener = () => {
  throw new Error("disk full");
};

describe("emitter", () => {
  test("tells every listener the name and the event", () => {
    const first: unknown[] = [];
    const second: unknown[] = [];
    emitter([recorder(first), recorder(second)])("job:expired", { id: "a" });
    expect(first).toEqual([["job:expired", { id: "a" }]]);
    expect(second).toEqual(first);
  });

  test("a listener that throws neither breaks the caller nor the listeners after it", () => {
    const heard: unknown[] = [];
    const emit = emitter([broken, recorder(heard)]);
    emit("job:expired", { id: "a" });
    emit("job:expired", { id: "b" });
    expect(heard).toHaveLength(2);
  });

  test("without listeners tells nobody", () => {
    expect(() => emitter([])("job:expired", { id: "a" })).not.toThrow();
  });
});
