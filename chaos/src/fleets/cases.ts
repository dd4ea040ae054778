/** All trials, in the order in which they are tried. */
import { findClockWay, type ClockWay } from "../clocks/machine.ts";
import type { TrialCase } from "../trials/trial.ts";
import { clocks } from "./cases/clocks.ts";
import { files, quotasBeside } from "./cases/files.ts";
import { newer } from "./cases/newer.ts";
import { quiet } from "./cases/quiet.ts";
import { redisClock } from "./cases/redis-clock.ts";
import { unreadableJobs } from "./cases/unreadable.ts";
import { versions } from "./cases/versions.ts";
import type { Site } from "./site.ts";

/** @param way how programs are made to see another time, which the names say. Default: what this machine has. */
export function fleetsCases(way: ClockWay = findClockWay()): readonly TrialCase<Site>[] {
  return [quiet, quotasBeside, clocks(way), redisClock(), versions(), newer, files, unreadableJobs];
}
