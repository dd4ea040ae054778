/**
 * Runs one native service and ends it when asked or when the launcher is gone. Redis does not know its
 * launcher; this does: its stdin is a pipe from the launcher, and the end of stdin means stop, whatever ended
 * the launcher. The service is a child of this process, so there is no moment at which nobody watches it.
 *
 * Argument: a guard order as JSON. Prints `{"pid":N}` once the service runs. Ends with the service.
 */
import { execFileSync, spawn } from "node:child_process";
import { parseGuardOrder } from "./guard-order.ts";

/** Redis writes its append-only file on SIGTERM; normally done within milliseconds. */
const TERM_TIMEOUT_MS = 5_000;

// What the service writes is for its user alone.
process.umask(0o077);

const order = parseGuardOrder(process.argv[2]);

const service = spawn(order.command, order.args, {
  // fd 2 is the service's log file; our stdout belongs to the protocol.
  stdio: ["ignore", 2, 2],
  env: { ...process.env, ...order.env },
});

service.once("spawn", () => {
  process.stdout.write(`${JSON.stringify({ pid: service.pid })}\n`);
});
service.once("error", (error) => {
  process.stderr.write(`${error.message}\n`);
  process.exit(127);
});
service.once("exit", (code, signal) => {
  for (const [command, ...args] of order.afterwards) {
    try {
      execFileSync(command, args, { stdio: ["ignore", 2, 2] });
    } catch {
      // What it has to tell is in the log. Nothing else can be done here.
    }
  }
  process.stderr.write(`ended by ${signal ?? `exit code ${String(code)}`}\n`);
  process.exit(code ?? 1);
});

function end(): void {
  service.kill("SIGTERM");
  setTimeout(() => service.kill("SIGKILL"), TERM_TIMEOUT_MS).unref();
}
process.stdin.once("end", end).once("error", end).resume();
process.once("SIGTERM", end);
