/** The board's environment. `docs/deployment.md` has it as a table. */
import { REPLAY_DEFAULTS } from "@sluice/drain";
import { deploymentEnv, listenerEnv, wholeNumber } from "@sluice/process";
import { z } from "zod";

const optionalText = z.string().optional();

export const envSchema = z.object({
  ...deploymentEnv,
  ...listenerEnv(3001),
  /** Who may use the board, `name:role:hash` each, separated by white space. */
  SLUICE_BOARD_USERS: optionalText,
  /** Addresses and subnets of the proxy that says who its callers are. */
  SLUICE_BOARD_PROXY_PEERS: optionalText,
  /** What the proxy sends as `X-Sluice-Proxy-Secret`. */
  SLUICE_BOARD_PROXY_SECRET: optionalText,
  /** `group=role` each; `*` is everybody. */
  SLUICE_BOARD_PROXY_GROUPS: optionalText,
  /** Replays that a lane holds at most. */
  SLUICE_REPLAYS_PER_LANE: wholeNumber({ min: 1, max: 1_000 }).default(REPLAY_DEFAULTS.perLane),
});
