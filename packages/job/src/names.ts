/** Names that callers and operators choose. They become parts of queue names, Redis keys and metric labels. */
import { z } from "zod";

const NAME = /^[a-z0-9]([a-z0-9-]{0,46}[a-z0-9])?$/;

/** A pool, lane or scope name: 1 to 48 lower case letters, digits and inner hyphens. */
export const nameSchema = z
  .string("Expected a name: 1 to 48 lower case letters, digits or inner hyphens")
  .regex(NAME, "Expected 1 to 48 lower case letters, digits or inner hyphens");

/** On whose behalf a job runs. Same alphabet as other names, since every read and key is scoped by it. */
export const tenantSchema = nameSchema;

/** The lanes of a pool that configures none, most urgent first. */
export const DEFAULT_LANES = ["critical", "standard", "bulk"] as const;

/** The BullMQ queue of one lane of one pool. */
export function queueName(pool: string, lane: string): string {
  return `${pool}.${lane}`;
}
