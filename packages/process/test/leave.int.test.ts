/** Leaving is about whole processes, so these tests start one. */
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";

const program = fileURLToPath(new URL("fixtures/leaving.ts", import.meta.url));

async function started(stop: "resolves" | "rejects" | "hangs"): Promise<ChildProcess> {
  const child = fork(program, [stop], { execArgv: ["--conditions=@sluice/source"], stdio: "ignore" });
  onTestFinished(() => void child.kill("SIGKILL"));
  expect(await message(child)).toEqual({ type: "ready", url: "http://here" });
  return child;
}

const message = async (child: ChildProcess): Promise<unknown> => {
  const [told]: unknown[] = await once(child, "message");
  return told;
};

const ended = async (child: ChildProcess): Promise<unknown> => {
  const [code]: unknown[] = await once(child, "exit");
  return code;
};

test.each(["SIGTERM", "SIGINT"] as const)("%s stops it and it exits with 0", async (signal) => {
  const child = await started("resolves");
  const code = ended(child);
  child.kill(signal);
  expect(await code).toBe(0);
});

test("it leaves when its parent is gone", async () => {
  const child = await started("resolves");
  const code = ended(child);
  child.disconnect();
  expect(await code).toBe(0);
});

test("a stop that fails is told by the exit code", async () => {
  const child = await started("rejects");
  const code = ended(child);
  child.kill("SIGTERM");
  expect(await code).toBe(1);
});

test("a second signal does not wait for the stop", async () => {
  const child = await started("hangs");
  const code = ended(child);
  child.kill("SIGTERM");
  expect(await message(child)).toEqual({ type: "stopping" });
  child.kill("SIGTERM");
  expect(await code).toBe(1);
});
