import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { ConverseCommand } from "@aws-sdk/client-bedrock-runtime";
import { afterEach, expect, test, vi } from "vitest";
import { ask, createClient } from "./clients.ts";

// Each test starts processes, which takes a while where many run at once.
vi.setConfig({ testTimeout: 30_000 });

const main = fileURLToPath(new URL("../src/main.ts", import.meta.url));
const children = new Set<ChildProcess>();

afterEach(() => {
  for (const child of children) child.kill("SIGKILL");
  children.clear();
});

async function run(...flags: string[]): Promise<{ child: ChildProcess; url: string }> {
  const child = spawn(process.execPath, ["--conditions=@sluice/source", main, ...flags], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  children.add(child);
  const [line] = await once(createInterface(child.stdout), "line");
  return { child, url: JSON.parse(String(line)).url };
}

test.each(["SIGTERM", "SIGINT"] as const)("prints its URL, answers, and ends on %s", async (signal) => {
  const { child, url } = await run("--time-scale", "0");
  const client = createClient(url);
  await client.send(new ConverseCommand(ask("us.amazon.nova-pro-v1:0", "Hello")));
  client.destroy();
  child.kill(signal);
  expect(await once(child, "exit")).toEqual([0, null]);
});

test("ends when its parent closes stdin, if asked to", async () => {
  const { child } = await run("--exit-with-parent");
  child.stdin?.end();
  expect(await once(child, "exit")).toEqual([0, null]);
});

test("says so when its port is taken", async () => {
  const { url } = await run();
  const { port } = new URL(url);
  const child = spawn(process.execPath, ["--conditions=@sluice/source", main, "--port", port]);
  children.add(child);
  let stderr = "";
  child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  const [code] = await once(child, "close");
  expect(code).toBe(1);
  expect(stderr).toContain(`Cannot listen on 127.0.0.1:${port}`);
  expect(stderr.split("\n")).toHaveLength(2);
});

test("takes faults from a file", async () => {
  const folder = await mkdtemp(join(tmpdir(), "simulator-"));
  const faults = join(folder, "faults.json");
  await writeFile(faults, JSON.stringify([{ model: "*nova*", fault: "AccessDeniedException" }]));
  const { url } = await run("--faults", faults);
  const client = createClient(url);
  await expect(client.send(new ConverseCommand(ask("us.amazon.nova-pro-v1:0", "Hello")))).rejects.toThrow(
    "You don't have access to the model with the specified model ID.",
  );
  client.destroy();
  await rm(folder, { recursive: true });
});

test("takes quotas from a models file and says what is wrong with a bad one", async () => {
  const folder = await mkdtemp(join(tmpdir(), "simulator-"));
  const models = join(folder, "models.json");
  await writeFile(models, JSON.stringify({ "us.amazon.nova-pro-v1:0": { tokensPerMinute: 10 } }));
  const { url } = await run("--models", models);
  const client = createClient(url);
  await expect(client.send(new ConverseCommand(ask("us.amazon.nova-pro-v1:0", "Hello")))).rejects.toThrow(
    "Too many tokens, please wait before trying again.",
  );
  client.destroy();

  await writeFile(models, JSON.stringify({ "us.amazon.nova-pro-v1:0": { tokensPerMinuet: 10 } }));
  const child = spawn(process.execPath, ["--conditions=@sluice/source", main, "--models", models]);
  children.add(child);
  let stderr = "";
  child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  const [code] = await once(child, "close");
  expect(code).not.toBe(0);
  expect(stderr).toContain("tokensPerMinuet");
  await rm(folder, { recursive: true });
});
