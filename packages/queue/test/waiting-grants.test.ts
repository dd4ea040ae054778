import { expect, test } from "vitest";
import { WAITING_AT_MOST, WaitingGrants, type LaneGrants } from "../src/index.ts";

function openLanes(count: number): { lanes: LaneGrants[]; called: number[] } {
  const waiting = new WaitingGrants();
  const called: number[] = [];
  return {
    lanes: Array.from({ length: count }, (_, place) => waiting.lane(() => called.push(place))),
    called,
  };
}

/** Adds to each lane in turn until there is no room in any. */
function fill(lanes: readonly LaneGrants[]): (() => void)[] {
  const leaves: (() => void)[] = [];
  while (lanes.some(({ hasRoom }) => hasRoom)) {
    for (const lane of lanes) if (lane.hasRoom) leaves.push(lane.add());
  }
  return leaves;
}

test.each([1, 2, 3, 12, 100, 256])("%i lanes of one process share one bound", (count) => {
  expect(fill(openLanes(count).lanes)).toHaveLength(WAITING_AT_MOST);
});

test("more lanes than places have one each", () => {
  expect(fill(openLanes(300).lanes)).toHaveLength(300);
});

test("a lane that comes first leaves the others their part", () => {
  const { lanes } = openLanes(4);
  const [first, second] = lanes;
  const leaves = fill(lanes.slice(0, 1));
  expect(leaves).toHaveLength(160);
  expect(first?.hasRoom).toBe(false);
  expect(fill(lanes.slice(1, 2))).toHaveLength(32);
  expect(second?.hasRoom).toBe(false);
});

test("a place that becomes free is told to those who wait for one, and counts once", () => {
  const { lanes, called } = openLanes(2);
  const [leave] = fill(lanes);
  expect(called).toEqual([]);
  leave?.();
  leave?.();
  expect(called).toEqual([0, 1]);
  expect(fill(lanes)).toHaveLength(1);
});
