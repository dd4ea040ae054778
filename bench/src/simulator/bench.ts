/**
 * How many short Converse calls one simulator answers per second. The simulator is a process of its own, so it has
 * one core to itself where there are two; the load comes from this process over kept-alive HTTP/1.1.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { Agent, request } from "node:http";
import { availableParallelism } from "node:os";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Bench } from "../scenario.ts";

const MODEL = "us.amazon.nova-micro-v1:0";
const BODY = JSON.stringify({
  messages: [{ role: "user", content: [{ text: "Why is the sky blue? Answer in one sentence." }] }],
  inferenceConfig: { maxTokens: 64 },
});

/**
 * The scenario. Every call must be answered with 200.
 * @param calls measured calls, after a quarter as many to warm up. Default 20,000.
 * @param inFlight calls at once. Default 16.
 */
export function createSimulatorBench({
  calls = 20_000,
  inFlight = 16,
}: { readonly calls?: number; readonly inFlight?: number } = {}): Bench {
  return {
    name: "simulator",
    about: "short Converse calls per second of one simulator process, over HTTP/1.1",
    run: async (print) => {
      const simulator = spawn(
        process.execPath,
        [
          "--conditions=@sluice/source",
          fileURLToPath(import.meta.resolve("@sluice/simulator/main")),
          "--time-scale",
          "0",
          "--exit-with-parent",
        ],
        { stdio: ["pipe", "pipe", "inherit"] },
      );
      const agent = new Agent({ keepAlive: true, maxSockets: inFlight });
      try {
        const [line] = await once(createInterface(simulator.stdout), "line");
        const { url }: { url: string } = JSON.parse(String(line));
        // The quota is not what is measured here.
        await fetch(`${url}/_sim/models`, {
          method: "POST",
          body: JSON.stringify({ [MODEL]: { tokensPerMinute: 1e12, requestsPerMinute: null } }),
        });
        await load(url, agent, Math.ceil(calls / 4), inFlight);
        const cpuBefore = await cpuSeconds(simulator.pid);
        const startedAt = performance.now();
        const latencies = await load(url, agent, calls, inFlight);
        const seconds = (performance.now() - startedAt) / 1_000;
        const cpuAfter = await cpuSeconds(simulator.pid);
        const figures = {
          ...summarise(latencies, seconds),
          callsPerCpuSecond:
            cpuBefore === null || cpuAfter === null ? null : Math.round(calls / (cpuAfter - cpuBefore)),
          calls,
          inFlight,
        };
        print(`${figures.callsPerSecond} calls/s, p50 ${figures.p50Ms} ms, p99 ${figures.p99Ms} ms`);
        return { ...figures, node: process.version, cores: availableParallelism() };
      } finally {
        agent.destroy();
        simulator.kill("SIGTERM");
        await once(simulator, "exit");
      }
    },
  };
}

/** CPU time a process has used so far; null where there is no /proc. */
async function cpuSeconds(pid: number | undefined): Promise<number | null> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, "utf8");
    // Behind the name in brackets; user and system time are the 12th and 13th field from there, in 1/100 s.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) / 100;
  } catch {
    return null;
  }
}

function summarise(
  latencies: readonly number[],
  seconds: number,
): { callsPerSecond: number; p50Ms: number; p99Ms: number } {
  const sorted = latencies.toSorted((left, right) => left - right);
  const quantile = (share: number): number =>
    Number((sorted[Math.floor(sorted.length * share)] ?? 0).toFixed(2));
  return { callsPerSecond: Math.round(sorted.length / seconds), p50Ms: quantile(0.5), p99Ms: quantile(0.99) };
}

/** Sends calls, so many at once, and returns the milliseconds each took. */
async function load(url: string, agent: Agent, calls: number, inFlight: number): Promise<number[]> {
  const latencies: number[] = [];
  let left = calls;
  const sendSome = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      const startedAt = performance.now();
      const status = await converse(url, agent);
      if (status !== 200) throw new Error(`Expected every call to answer 200, got ${status}.`);
      latencies.push(performance.now() - startedAt);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, sendSome));
  return latencies;
}

async function converse(url: string, agent: Agent): Promise<number | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<number | undefined>();
  const call = request(`${url}/model/${encodeURIComponent(MODEL)}/converse`, {
    method: "POST",
    agent,
    headers: {
      authorization: "Bearer bench",
      "content-type": "application/json",
      "content-length": Buffer.byteLength(BODY),
    },
  });
  call.on("response", (response) => {
    response.resume();
    response.on("end", () => resolve(response.statusCode));
  });
  call.on("error", reject);
  call.end(BODY);
  return promise;
}
