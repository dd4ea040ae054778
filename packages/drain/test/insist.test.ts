import { describe, expect, test } from "vitest";
import { describe as describeError, insist } from "../src/index.ts";

const never = new AbortController().signal;

describe("insist", () => {
  test("resolves to the result, and tells nothing when there is nothing to tell", async () => {
    const told: unknown[] = [];
    const emit = (...event: unknown[]): void => void told.push(event);
    expect(await insist(async () => 7, { part: "gate", signal: never, emit })).toBe(7);
    expect(told).toEqual([]);
  });

  test("tries again after an error, and tells it", async () => {
    const told: unknown[] = [];
    let tries = 0;
    const operation = async (): Promise<number> => {
      tries += 1;
      if (tries < 3) throw new Error(`try ${tries}`);
      return tries;
    };
    const emit = (...event: unknown[]): void => void told.push(event);
    expect(await insist(operation, { part: "gate", signal: never, emit })).toBe(3);
    expect(told).toEqual([
      ["worker:error", { part: "gate", error: "Error: try 1" }],
      ["worker:error", { part: "gate", error: "Error: try 2" }],
    ]);
  });

  test("rejects with the last error when the tries are used up", async () => {
    let tries = 0;
    const failing = insist(
      async () => {
        tries += 1;
        throw new Error(`try ${tries}`);
      },
      { part: "gate", signal: never, emit: () => {}, tries: 2 },
    );
    await expect(failing).rejects.toThrow("try 2");
    expect(tries).toBe(2);
  });

  test("rejects with the last error when the time is up", async () => {
    const controller = new AbortController();
    let tries = 0;
    const failing = insist(
      async () => {
        tries += 1;
        throw new Error(`try ${tries}`);
      },
      {
        part: "gate",
        signal: controller.signal,
        emit: () => controller.abort(),
      },
    );
    await expect(failing).rejects.toThrow("try 1");
    expect(tries).toBe(1);
  });

  test("does not sleep on when the time is up", async () => {
    const controller = new AbortController();
    let tries = 0;
    const failing = insist(
      async () => {
        tries += 1;
        if (tries === 2) setImmediate(() => controller.abort());
        throw new Error(`try ${tries}`);
      },
      { part: "gate", signal: controller.signal, emit: () => {} },
    );
    await expect(failing).rejects.toThrow("try 3");
  });
});

describe("the description of an error", () => {
  test.each([
    ["an error", new TypeError("no such key"), "TypeError: no such key"],
    ["the first line of many", new Error("first\nsecond"), "Error: first"],
    ["what is no error", "text", "text"],
    ["nothing", undefined, "undefined"],
    ["a long one, cut", new Error("x".repeat(2_000)), `Error: ${"x".repeat(993)}`],
  ])("is short: %s", (_what, error, text) => {
    expect(describeError(error)).toBe(text);
  });
});
