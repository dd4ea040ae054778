/** The door of a small Redis: what it lets in there is room for, and it opens again when jobs have ended. */
import { randomBytes } from "node:crypto";
import { machineTime } from "@sluice/job";
import { Intake, LockKeeper, Slots, WaitingGrants } from "@sluice/queue";
import { keySpace } from "@sluice/redis";
import { expect, inject, onTestFinished, test, vi } from "vitest";
import { ownRedis } from "../../../packages/services/test/own-redis.ts";
import { startApi, type Reply } from "./given.ts";

const MB = 1024 * 1024;
const LIMIT = 14 * MB;

function codeOf({ status, body }: Reply): string {
  if (status === 202) return "accepted";
  return JSON.stringify(body).includes('"redis-full"') ? "redis-full" : JSON.stringify(body);
}

test("of 60 long jobs that come at once it takes what there is room for, and the next when those have ended", async () => {
  const { url: redisUrl } = await ownRedis();
  const api = await startApi({ redisUrl, dynamoDbUrl: inject("dynamoDbUrl") });
  onTestFinished(async () => api[Symbol.asyncDispose]());
  await api.redis.config("SET", "maxmemory", LIMIT);

  const ended: string[] = [];
  const locks = new LockKeeper({
    times: { inHandMs: 10_000, callMs: 10_000 },
    onLost: () => {},
    onError: () => {},
  });
  const start = async (): Promise<Intake> => {
    const intake = new Intake({
      redis: api.redis,
      keySpace: keySpace(api.name, "lab"),
      pool: "claude",
      lane: "critical",
      ...machineTime,
      slots: new Slots(["critical"], 4),
      locks,
      waiting: new WaitingGrants(),
      take: async (job) => async () => {
        await job.complete({ outcome: "completed" });
        ended.push(job.id);
      },
      onError: () => {},
      stalledIntervalMs: 5_000,
    });
    await intake.start();
    return intake;
  };

  let accepted = 0;
  for (let round = 0; round < 2; round += 1) {
    const codes = await Promise.all(
      Array.from({ length: 60 }, async () =>
        codeOf(
          await api.post(
            {
              pool: "claude",
              lane: "critical",
              prompt: randomBytes(150_000).toString("hex"),
              maxTokens: 100,
            },
            { connection: "close" },
          ),
        ),
      ),
    );
    expect(new Set(codes)).toEqual(new Set(["accepted", "redis-full"]));
    const taken = codes.filter((code) => code === "accepted").length;
    expect(taken).toBeGreaterThan(10);
    accepted += taken;
    const intake = await start();
    await vi.waitFor(() => expect(ended).toHaveLength(accepted), { timeout: 15_000, interval: 50 });
    await intake.stop();
    await intake.close();
  }
  const short = { pool: "claude", lane: "critical", prompt: "Hello" };
  await vi.waitFor(async () => expect(codeOf(await api.post(short))).toBe("accepted"), { timeout: 5_000 });
}, 60_000);
