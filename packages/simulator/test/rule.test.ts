import { describe, expect, test } from "vitest";
import type { Fault } from "../src/faults/fault.ts";
import { type FaultRule, meets, strikes } from "../src/faults/rule.ts";
import { createFaultScript } from "../src/faults/script.ts";
import { parseFault } from "../src/faults/spelling.ts";
import { seeded } from "../src/random.ts";

const fault: Fault = { type: "early-end" };
const call = {
  operation: "Converse",
  region: "us-east-1",
  model: "us.amazon.nova-pro-v1:0",
  prompt: "Hello",
  accessKey: "AKIDOLD",
};

/** Which of the calls that meet a rule it strikes. */
function ranks(rule: Omit<FaultRule, "fault">, calls = 8): number[] {
  const struck: number[] = [];
  for (let matched = 0; matched < calls; matched += 1) {
    if (strikes({ ...rule, fault }, { matched, struck: struck.length }, seeded(1))) struck.push(matched + 1);
  }
  return struck;
}

/** Whether each of 2,000 calls is struck by a rule with a rate of a fifth. */
function struckAtRandom(seed: number): boolean[] {
  const script = createFaultScript(seeded(seed));
  script.add([{ rate: 0.2, fault }], 0);
  return Array.from({ length: 2_000 }, () => script.pick(call, undefined, 0) !== undefined);
}

describe("a rule meets a call", () => {
  test.each<[expected: boolean, rule: Omit<FaultRule, "fault">]>([
    [true, {}],
    [true, { model: "*nova*", region: "us-east-1", operation: "Converse", prompt: "ell" }],
    [false, { model: "*claude*" }],
    [false, { region: "eu-west-1" }],
    [false, { operation: "InvokeModel" }],
    [false, { prompt: "Good-bye" }],
    [true, { accessKey: "AKIDOLD" }],
    [false, { accessKey: "AKIDNEW" }],
  ])("%s: %o", (expected, rule) => {
    expect(meets({ ...rule, fault }, call, 0)).toBe(expected);
  });

  test("only within its time span", () => {
    const rule = { afterMs: 100, forMs: 50, fault };
    expect([99, 100, 149, 150].map((ageMs) => meets(rule, call, ageMs))).toEqual([false, true, true, false]);
  });
});

describe("a rule strikes", () => {
  test.each<[rule: Omit<FaultRule, "fault">, ranks: number[]]>([
    [{}, [1, 2, 3, 4, 5, 6, 7, 8]],
    [{ skip: 6 }, [7, 8]],
    [{ every: 3 }, [3, 6]],
    [{ skip: 1, every: 3 }, [4, 7]],
    [{ every: 2, times: 2 }, [2, 4]],
    [{ skip: 4, times: 1 }, [5]],
    [{ rate: 0 }, []],
  ])("%o: calls %o", (rule, expected) => {
    expect(ranks(rule)).toEqual(expected);
  });

  test("at a rate drawn from the seed", () => {
    expect(struckAtRandom(1)).toEqual(struckAtRandom(1));
    expect(struckAtRandom(1)).not.toEqual(struckAtRandom(2));
    const share = struckAtRandom(1).filter(Boolean).length / 2_000;
    expect(share).toBeGreaterThan(0.17);
    expect(share).toBeLessThan(0.23);
  });
});

test("the header goes before the marker, the marker before the rules, and the first rule that strikes decides", () => {
  const script = createFaultScript(seeded(1));
  script.add([{ every: 2, fault: { type: "slow", factor: 2 } }, { fault }], 0);
  const marked = { ...call, prompt: "[[sim:html]]" };
  expect(script.pick(marked, "reset", 0)).toEqual({ type: "reset", at: "before-headers" });
  expect(script.pick(marked, undefined, 0)).toEqual({ type: "html", status: 503 });
  expect(script.pick(call, undefined, 0)).toEqual(fault);
  expect(script.pick(call, undefined, 0)).toEqual({ type: "slow", factor: 2 });
});

test.each(["Nonsense", "ThrottlingException@end", "reset*", "reset*-1", "constructor", "", "toString@mid"])(
  "%j is no fault",
  (spelling) => {
    expect(parseFault(spelling)).toBeUndefined();
  },
);
