/** All cases, in the order in which they are tried. */
import type { TrialCase } from "../trials/trial.ts";
import { changed } from "./cases/changed.ts";
import { disk } from "./cases/disk.ts";
import { failOver } from "./cases/fail-over.ts";
import { loss } from "./cases/loss.ts";
import { memory } from "./cases/memory.ts";
import { rolledBack } from "./cases/rolled-back.ts";
import type { Ground } from "./ground.ts";

export const CASES: readonly TrialCase<Ground>[] = [loss, memory, failOver, changed, rolledBack, disk];
