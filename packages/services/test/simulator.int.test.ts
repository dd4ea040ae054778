import { expect, inject, test } from "vitest";

test("the simulator of the integration tests answers", async () => {
  const response = await fetch(new URL("/_sim/stats", inject("simulatorUrl")));
  expect(response.status).toBe(200);
});
