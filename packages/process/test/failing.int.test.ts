/** However a program fails, it says of what, ends, and prints no secret that the error carries. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const FAILING = fileURLToPath(new URL("fixtures/failing.ts", import.meta.url));

test.each(["start", "later", "rejection"])("%s", async (when) => {
  const child = spawn(process.execPath, ["--conditions=@sluice/source", FAILING, when]);
  const [printed, [code]] = await Promise.all([text(child.stderr), once(child, "exit")]);
  expect(code).toBe(1);
  expect(printed).toContain("failing: ");
  expect(printed).toContain("connect redis://:***@h:6379");
  expect(printed).not.toContain("hunter2");
});
