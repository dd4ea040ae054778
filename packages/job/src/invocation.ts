/** An `async` call that Bedrock works on, as it is kept with its job until it is polled. */
import { z } from "zod";
import { parseJson } from "./json.ts";
import { assertKnownVersion } from "./version.ts";

/** What to poll, and since when Bedrock works on it, milliseconds since the epoch. */
export const invocationSchema: z.ZodObject<{ arn: z.ZodString; startedAt: z.ZodInt }, z.core.$loose> =
  z.looseObject({ arn: z.string(), startedAt: z.int() });
export type Invocation = z.infer<typeof invocationSchema>;

/** As with job data: raised for what must be understood. */
const INVOCATION_VERSION = 1;

/**
 * Reads what is stored, whatever it is; `undefined` when that names no call.
 * @throws NewerVersionError for one of a newer version: calling again would pay for it twice.
 */
export function invocationOf(stored: string | null): Invocation | undefined {
  const record = parseJson(stored ?? "");
  assertKnownVersion("started call", record, INVOCATION_VERSION);
  const { data } = invocationSchema.safeParse(record);
  return data && { arn: data.arn, startedAt: data.startedAt };
}

/** As it is stored. */
export function writeInvocation({ arn, startedAt }: Invocation): string {
  return JSON.stringify({ version: INVOCATION_VERSION, arn, startedAt });
}
