/** From a death to the answer with every program a process of its own, as the one who enqueued the job sees it. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test, vi } from "vitest";
import { z } from "zod";
import { PATIENTLY, POOL, startLab } from "./lab.ts";

vi.setConfig({ testTimeout: 180_000 });

const CLI = fileURLToPath(new URL("../../apps/cli/src/main.ts", import.meta.url));
const MARKER = "replayed-one-day";

const viewSchema = z.looseObject({
  id: z.string(),
  state: z.string().optional(),
  replay: z.number().optional(),
  repeated: z.boolean().optional(),
});

test("a job that died is, once replayed, answered under its own id, key and stream, and paid once", async () => {
  await using lab = await startLab({ latencyMs: 300 });
  const { installation, simulatorUrl } = lab;
  const api = await installation.startApi();
  await installation.startWorker({ SLUICE_RECONCILE_INTERVAL_MS: "200" });
  const body = JSON.stringify({
    pool: POOL,
    lane: "standard",
    kind: "stream",
    prompt: `Say ${MARKER}`,
    maxTokens: 50,
  });
  const headers = { "content-type": "application/json", "idempotency-key": "report-7" };
  const post = async () =>
    viewSchema.parse(await (await fetch(`${api}/v1/jobs`, { method: "POST", headers, body })).json());
  const sluice = async (...args: string[]): Promise<string> =>
    new Promise((resolve, reject) => {
      const env = { PATH: process.env["PATH"], SLUICE_API_URL: api, ...installation.env };
      execFile(process.execPath, ["--conditions=@sluice/source", CLI, ...args], { env }, (error, out) => {
        if (error === null) resolve(out);
        else reject(error);
      });
    });
  const rule = { prompt: MARKER, fault: "ValidationException" };
  await fetch(`${simulatorUrl}/_sim/faults`, { method: "POST", body: JSON.stringify(rule) });

  const { id } = await post();
  const get = async () => viewSchema.parse(await (await fetch(`${api}/v1/jobs/${id}`)).json());
  const stream = async (): Promise<string[]> => {
    const text = await (await fetch(`${api}/v1/jobs/${id}/stream`)).text();
    return [...text.matchAll(/^event: (.*)$/gm)].map(([, name = ""]) => name);
  };
  await vi.waitFor(async () => expect(await get()).toMatchObject({ state: "dead" }), PATIENTLY);
  expect(await stream()).toEqual(["started", "failed"]);

  // Still broken: its replay dies too, and the job is dead of that.
  expect(await sluice("dead-letters", "replay", id)).toMatch(/^1 of 1 letter replayed$/m);
  await vi.waitFor(async () => expect(await get()).toMatchObject({ state: "dead", replay: 1 }), PATIENTLY);

  // Mended by whoever had broken it.
  await fetch(`${simulatorUrl}/_sim/faults`, { method: "DELETE" });
  expect(await sluice("dead-letters", "replay", "--all", "--json")).toBe('{"letters":1,"queued":1}\n');
  expect(["waiting", "active", "completed"]).toContain((await get()).state);
  expect((await stream()).filter((name) => name !== "text")).toEqual(["started", "completed"]);
  await vi.waitFor(
    async () => expect(await get()).toMatchObject({ id, state: "completed", replay: 2, answer: {} }),
    PATIENTLY,
  );
  expect(await post()).toMatchObject({ id, repeated: true, state: "completed", replay: 2 });
  expect(await sluice("explain", id)).toBe("completed: It was answered. This is its replay 2\n");
  const answered = (await lab.callsOf(`${id}.r2`)).filter(({ outcome }) => outcome === "completed");
  expect(answered).toHaveLength(1);
  expect(await installation.records.counts()).toEqual({ waiting: 0, delayed: 0, active: 0, failed: 0 });
});
