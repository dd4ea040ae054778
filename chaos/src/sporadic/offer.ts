/** Offers each arm its jobs at an even pace, and counts what was answered by the time an answer could be there. */
import { setTimeout as sleep } from "node:timers/promises";
import { startServices } from "@sluice/services";
import type { RunOptions } from "../command.ts";
import { addFaults } from "../faults.ts";
import { startInstallation } from "../installation.ts";
import { enqueue } from "../orders.ts";
import { startSupervised } from "../supervisor.ts";
import { LANE, modelOf, models, poolOf, poolsFile, type SporadicArm } from "./arms.ts";

export interface OfferOptions extends RunOptions {
  readonly seed: number;
  readonly arms: readonly SporadicArm[];
  /** How long jobs are offered, milliseconds. Default 90 s. */
  readonly offerMs?: number;
}

export interface Offered {
  readonly arm: string;
  readonly offered: number;
  /** Within the time of offering and that of one answer more. */
  readonly answered: number;
  readonly share: number;
  readonly dead: number;
}

const WORKERS = 2;
const OFFER_MS = 90_000;

/** A slow answer takes longer than the median, and a job that failed at once is tried again soon. */
const ANSWER_TIMES = 1.5;
const RETRY_MS = 5_000;

const DEADLINE_MS = 600_000;
const MAX_ATTEMPTS = 5;
const TICK_MS = 100;

export async function offer(options: OfferOptions): Promise<Offered[]> {
  const { seed, arms, offerMs = OFFER_MS, dataDir, redisUrl, dynamoDbUrl, onProgress } = options;
  await using services = await startServices({
    dataDir,
    redisUrl,
    dynamoDbUrl,
    simulator: { models: models(arms), args: ["--seed", String(seed)] },
  });
  await using installation = await startInstallation({
    pools: poolsFile(arms, WORKERS),
    folder: services.runFolder,
    locks: "shipped",
    ...services,
  });
  const { records } = installation;
  for (let started = 0; started < WORKERS; started += 1) await startSupervised(installation);
  await addFaults(
    services.simulatorUrl,
    arms.map((arm) => ({ model: modelOf(arm), fault: arm.fault, rate: arm.rate })),
  );
  onProgress(`Offering for ${offerMs / 1_000} s: ${arms.map(({ name }) => name).join(", ")}`);
  return await Promise.all(
    arms.map(async (arm) => {
      const ids = await offerTo(arm);
      await sleep(arm.latencyMs * ANSWER_TIMES + RETRY_MS);
      const found = await records.findEnds(ids);
      const ended = (end: string): number => found.filter(({ outcome }) => outcome?.outcome === end).length;
      const answered = ended("completed");
      onProgress(`${arm.name}: ${answered} of ${ids.length} answered`);
      const share = Math.round((answered / ids.length) * 1_000) / 1_000;
      return { arm: arm.name, offered: ids.length, answered, share, dead: ended("dead") };
    }),
  );

  async function offerTo(arm: SporadicArm): Promise<string[]> {
    const begunAt = Date.now();
    const added: Promise<string>[] = [];
    for (let now = begunAt; now < begunAt + offerMs; now = Date.now()) {
      const due = ((now - begunAt) / 1_000) * arm.perSecond;
      while (added.length < due) {
        const text = `Job ${added.length} of ${arm.name}, seed ${seed}: say something about locks and sluices.`;
        const order = { pool: poolOf(arm), lane: LANE, shape: "converse", text, maxTokens: 60 } as const;
        added.push(enqueue(records, { ...order, deadlineMs: DEADLINE_MS, maxAttempts: MAX_ATTEMPTS }));
      }
      await sleep(TICK_MS);
    }
    return Promise.all(added);
  }
}
