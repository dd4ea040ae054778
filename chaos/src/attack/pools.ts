/** The one pool that attacks know. */
import type { PoolsFile } from "../pools-file.ts";

export const POOL = "claude";
export const LANE = "standard";
export const LANES = ["critical", "standard", "bulk"] as const;
export const MODEL = "attack.model";
/** Where the pool lets answers be written. */
export const OUTPUT = "s3://answers/of-sluice";

export function poolsFile(): PoolsFile {
  const quota = { tokensPerMinute: 100_000_000 };
  const pool = { scope: "main", model: MODEL, lanes: [...LANES], burndown: 1, quota, asyncOutputs: [OUTPUT] };
  return { scopes: { main: { region: "us-east-1" } }, pools: { [POOL]: pool } };
}
