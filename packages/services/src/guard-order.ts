/** What a guard is told to run. The schema is shared by the launcher that writes it and the guard that reads it. */
import { z } from "zod";

export interface GuardOrder {
  readonly command: string;
  readonly args: readonly string[];
  /** Added to the environment of the service only. */
  readonly env: Readonly<Record<string, string>>;
  /** Command lines run once the service has ended, however it did. */
  readonly afterwards: readonly (readonly [command: string, ...args: string[]])[];
}

const guardOrder: z.ZodType<GuardOrder> = z.strictObject({
  command: z.string(),
  args: z.array(z.string()),
  env: z.record(z.string(), z.string()),
  afterwards: z.array(z.tuple([z.string()], z.string())),
});

/** @throws ZodError or SyntaxError on anything that is not a guard order. */
export function parseGuardOrder(argument: string | undefined): GuardOrder {
  return guardOrder.parse(JSON.parse(argument ?? "null"));
}
