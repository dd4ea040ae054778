/** The board's environment. `docs/deployment.md` has it as a table. */
import { REPLAY_DEFAULTS } from "@sluice/drain";
import { deploymentEnv, listenerEnv } from "@sluice/process";
import { z } from "zod";

export const envSchema = z.object({
  ...deploymentEnv,
  ...listenerEnv(3001),
  /** Who may use the board, `name:role:hash` each, separated by white space. */
  SLUICE_BOARD_USERS: z.string().min(1).optional(),
  /** Addresses and subnets of the proxy that says who its callers are. */
  SLUICE_BOARD_PROXY_PEERS: z.string().min(1).optional(),
  /** What the proxy sends as `X-Sluice-Proxy-Secret`. */
  SLUICE_BOARD_PROXY_SECRET: z.string().optional(),
  /** `group=role` each; `*` is everybody. */
  SLUICE_BOARD_PROXY_GROUPS: z.string().optional(),
  /** Replays that a lane holds at most. */
  SLUICE_REPLAYS_PER_LANE: z.coerce.number().int().min(1).max(1_000).default(REPLAY_DEFAULTS.perLane),
});
