/** The worker's environment. `docs/deployment.md` has it as a table. */
import { deploymentEnv, wholeNumber } from "@sluice/process";
import { z } from "zod";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

export const envSchema = z.object({
  ...deploymentEnv,
  /** How long calls in flight may take after SIGTERM, milliseconds. */
  SLUICE_SHUTDOWN_GRACE_MS: wholeNumber({ min: 1, max: DAY_MS }).default(60_000),
  /**
   * How long Redis keeps a job for a worker that went silent: before its call, and from the call's start. Together with
   * the next two it says when a killed worker's jobs run again: after the lock, two looks and the last heartbeat.
   */
  SLUICE_LOCK_IN_HAND_MS: wholeNumber({ min: 500, max: HOUR_MS }).default(6_000),
  SLUICE_LOCK_CALL_MS: wholeNumber({ min: 500, max: HOUR_MS }).default(10_000),
  /** How often jobs of vanished workers are looked for, milliseconds. */
  SLUICE_STALLED_INTERVAL_MS: wholeNumber({ min: 100, max: HOUR_MS }).default(2_500),
  /** How long after its last beat a worker counts as alive, milliseconds. The same in the whole fleet. */
  SLUICE_HEARTBEAT_TTL_MS: wholeNumber({ min: 1_000, max: HOUR_MS }).default(12_000),
  /** How often replays are looked at that a crash may have left half done, milliseconds. */
  SLUICE_RECONCILE_INTERVAL_MS: wholeNumber({ min: 100, max: DAY_MS }).default(15_000),
});
