/** A disk that takes nothing more, and has room again: a limit on the size of Redis's files stands for it. */
import { execFile } from "node:child_process";
import { mkdir, readdir, stat, writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { startRedis, type RunningService } from "@sluice/services";
import { must, type Trial, type TrialCase } from "../../trials/trial.ts";
import {
  Fleet,
  mustBeRefusal,
  post,
  prompt,
  submit,
  until,
  untilAccepted,
  untilReadiness,
} from "../fleet.ts";
import { administer, figure, type Ground } from "../ground.ts";
import { readCalls } from "../../evidence.ts";

const run = promisify(execFile);

interface SmallDisk {
  readonly server: RunningService;
  /** Files grow no more. */
  readonly fill: () => Promise<void>;
  readonly makeRoom: () => Promise<void>;
}

/**
 * A process that writes beyond its limit gets a signal that would end it: the shell before Redis has it ignored, so that
 * the write fails, as one does on a full disk. Asks for no rights.
 */
async function startSmallDisk(ground: Ground): Promise<SmallDisk> {
  const dataDir = ground.newFolder();
  const programs = join(dataDir, "bin");
  await mkdir(programs, { recursive: true });
  const searchPath = process.env["PATH"] ?? "";
  const script = `#!/bin/sh\ntrap '' XFSZ\nPATH='${searchPath}' exec redis-server "$@"\n`;
  await writeFile(join(programs, "redis-server"), script, { mode: 0o700 });
  const host = { searchPath: [programs, searchPath].join(delimiter), cacheDir: dataDir };
  const server = await startRedis({ dataDir, host });
  const limit = async (bytes: number | "unlimited"): Promise<void> => {
    await run("prlimit", ["--pid", String(server.pid), `--fsize=${bytes}:`]);
  };
  const folder = join(dataDir, "redis", "appendonlydir");
  return {
    server,
    async fill() {
      const names = await readdir(folder);
      const sizes = await Promise.all(names.map(async (name) => (await stat(join(folder, name))).size));
      await limit(Math.max(...sizes));
    },
    makeRoom: async () => limit("unlimited"),
  };
}

const SLOTS = 8;
const CALL_MS = 200;

/** Ends of calls in a second, from `from` on. */
async function ratePerS(fleet: Fleet, from: number, to: number): Promise<number> {
  const calls = [...(await readCalls(fleet.simulatorUrl)).values()].flat();
  const ends = calls.map(({ endedAt }) => endedAt).filter((at) => at >= from && at <= to);
  return ends.length === 0 ? 0 : ends.length / ((to - from) / 1_000);
}

const full: Trial<Ground> = {
  name: "the append-only file",
  holds:
    "While it cannot be written /readyz is 503 and posts are told when to come back; with room again the lanes drain as fast as before within 5 s",
  async run(ground) {
    const { server, fill, makeRoom } = await startSmallDisk(ground);
    await using _ = server;
    using redis = administer(server.url);
    await using fleet = await Fleet.start(ground, { redisUrl: server.url, callMs: CALL_MS, slots: SLOTS });
    const api = await fleet.start("api");
    const { ids } = await submit(
      api,
      Array.from({ length: 240 }, () => ({ prompt: prompt(1_000) })),
    );
    const worker = await fleet.installation.startWorker();
    const { records } = fleet.installation;
    const ended = async (): Promise<number> => records.countEnded(ids);
    await until("8 have ended", async () => (await ended()) >= SLOTS, { withinMs: 15_000 });
    const began = Date.now();
    await until("80 have ended", async () => (await ended()) >= 80, { withinMs: 30_000 });
    const before = await ratePerS(fleet, began, Date.now());

    await fill();
    await worker.logged("the full disk", ({ msg, code }) => msg === "redis:trouble" && code === "disk");
    await untilReadiness(api, 503, 5_000);
    mustBeRefusal(await post(api, { prompt: "Meanwhile" }));
    must((await ended()) < ids.length, "all had ended by then, so this proves nothing");
    must((await figure(redis, "errorstats", "errorstat_MISCONF")) > 0, "Redis refused no write");

    await makeRoom();
    await untilReadiness(api, 200, 5_000);
    const { id, tookMs } = await untilAccepted(api, 5_000);
    const again = Date.now();
    await fleet.untilEnded([...ids, id]);
    const calls = [...(await readCalls(fleet.simulatorUrl)).values()].flat();
    const last = Math.max(...calls.map(({ endedAt }) => endedAt));
    const after = await ratePerS(fleet, again, last);
    must(after >= 0.8 * before, `${after.toFixed(1)} jobs a second after it, ${before.toFixed(1)} before`);
    await fleet.mustAgree([...ids, id], { end: "completed" });
    return {
      beforePerS: Math.round(before * 10) / 10,
      afterPerS: Math.round(after * 10) / 10,
      acceptedAfterMs: tookMs,
    };
  },
};

export const disk: TrialCase<Ground> = { name: "disk", trials: [full] };
