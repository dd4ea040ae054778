/** Why a job is where it is: every reason, on a real Redis with a real limiter. */
import { randomUUID } from "node:crypto";
import { adviceFor, NO_NOTES, type JobData } from "@sluice/job";
import { createRedisLimiter, lanesNamed, quotaLimitsOf } from "@sluice/limits";
import { Intake, LaneQueue, LockKeeper, POLLS_LANE, Slots, type HeldJob } from "@sluice/queue";
import { keySpace } from "@sluice/redis";
import { cacheKey, CallLedger, Heartbeat, ResponseCache } from "@sluice/results";
import { afterAll, beforeAll, beforeEach, expect, inject, test } from "vitest";
import { jobData, POOLS, startApi } from "./given.ts";
