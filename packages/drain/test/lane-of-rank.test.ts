import { expect, test } from "vitest";
import { laneOfRank } from "../src/index.ts";

const from = ["critical", "standard", "bulk"];

test.each([
  ["of the same name", "bulk", ["bulk", "critical"], "bulk"],
  ["of the same rank where there is none of the name", "standard", ["now", "soon", "later"], "soon"],
  ["the least urgent where there are fewer", "bulk", ["now", "soon"], "soon"],
  ["the only one", "critical", ["all"], "all"],
  ["its own where the pool has none", "critical", [], "critical"],
])("a job goes into the lane %s", (_, lane, to, expected) => {
  expect(laneOfRank(lane, { from, to })).toBe(expected);
});
