/** Starts workers as a supervisor does: one that could not start is started again. */
import type { Installation } from "./installation.ts";
import type { Started } from "./process.ts";

/** A busy machine makes Redis look away for longer than a worker waits for it at its start. */
const TRIES = 5;

export async function startSupervised(
  installation: Installation,
  env: Readonly<Record<string, string>> = {},
  tries = TRIES,
): Promise<Started> {
  try {
    return await installation.startWorker(env);
  } catch (error) {
    if (tries === 1) throw error;
    return startSupervised(installation, env, tries - 1);
  }
}
