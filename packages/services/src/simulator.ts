/** The Bedrock simulator as a process of its own on loopback. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { startProgram } from "./program.ts";
import { runService, type RunningService } from "./service.ts";

export interface SimulatorOptions {
  /** Absolute folder; gets `simulator.log` and the models file. Made if missing. */
  readonly dataDir: string;
  /** The simulator's models table, as its `--models` file holds it. Default: the simulator's own. */
  readonly models?: unknown;
  /** More arguments for the simulator's command line. Default: none. */
  readonly args?: readonly string[] | undefined;
}

/**
 * Starts the simulator on a free port of 127.0.0.1.
 * It ends with this process at the latest, however this process ends.
 * @throws ServicesError EXITED (bad models included, see the log lines in the message), NOT_READY.
 */
export async function startSimulator(options: SimulatorOptions): Promise<RunningService> {
  await mkdir(options.dataDir, { recursive: true, mode: 0o700 });
  const models: string[] = [];
  if (options.models !== undefined) {
    const file = join(options.dataDir, "simulator-models.json");
    await writeFile(file, JSON.stringify(options.models, undefined, 2), { mode: 0o600 });
    models.push("--models", file);
  }
  const spec = {
    name: "The simulator",
    entry: "simulator-main",
    logFile: join(options.dataDir, "simulator.log"),
    ready: z.object({ url: z.url() }),
  } as const;
  return runService("simulator", async (port) => {
    const listen = ["--port", String(port ?? 0), "--exit-with-parent"];
    const program = await startProgram(
      { ...spec, args: [...listen, ...models, ...(options.args ?? [])] },
      15_000,
    );
    return { url: program.ready.url, pid: program.pid, program };
  });
}
