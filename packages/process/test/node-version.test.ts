import { expect, test } from "vitest";
import { assertNode } from "../src/index.ts";

test.each(["22.12.0", "22.21.1", "24.0.0", "30.1.0"])("runs on Node %s", (version) => {
  expect(() => assertNode(version)).not.toThrow();
});

test.each(["20.20.2", "22.11.0", "18.0.0"])("says on Node %s what it needs", (version) => {
  expect(() => assertNode(version)).toThrow(`This needs Node 22.12 or newer, and this is ${version}`);
});
