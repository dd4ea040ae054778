import { describe, expect, test } from "vitest";
import { keySpace } from "../src/index.ts";

describe("keySpace", () => {
  test("carries the scope as the cluster's hash tag", () => {
    expect(keySpace("sluice", "main")).toBe("sluice:{main}");
  });

  test.each(["", "-a", "A", "a:b", "{a", "a}", "a b", "a*", "ä", "a\n"])(
    "refuses %j as either part",
    (name) => {
      expect(() => keySpace(name, "main")).toThrow(
        new RangeError(`Expected namespace to be lower case letters, digits and '-', got '${name}'`),
      );
      expect(() => keySpace("sluice", name)).toThrow(
        new RangeError(`Expected scope to be lower case letters, digits and '-', got '${name}'`),
      );
    },
  );
});
