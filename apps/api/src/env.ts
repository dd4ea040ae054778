/** The API's environment. `docs/deployment.md` has it as a table. */
import { deploymentEnv, listenerEnv, wholeNumber } from "@sluice/process";
import { z } from "zod";
import { STREAM_BOUNDS } from "./open-streams.ts";

const variables = z.object({
  ...deploymentEnv,
  ...listenerEnv(3000),
  /** Event streams open at once, in this process and for one address of a caller. */
  SLUICE_MAX_STREAMS: wholeNumber({ min: 1, max: 1_000_000 }).default(STREAM_BOUNDS.most),
  SLUICE_MAX_STREAMS_PER_ADDRESS: wholeNumber({ min: 1, max: 1_000_000 }).default(
    STREAM_BOUNDS.mostPerAddress,
  ),
  /** After this long a stream ends, and its reader comes back with `Last-Event-ID`. Milliseconds. */
  SLUICE_STREAM_MAX_AGE_MS: wholeNumber({ min: 1_000, max: 86_400_000 }).default(STREAM_BOUNDS.maxAgeMs),
});

/** A stream holds a connection for minutes: they must leave some to those who ask for less. */
export const envSchema = variables.refine(
  ({ SLUICE_MAX_CONNECTIONS, SLUICE_MAX_STREAMS }) => SLUICE_MAX_CONNECTIONS > SLUICE_MAX_STREAMS,
  {
    path: ["SLUICE_MAX_CONNECTIONS"],
    error: "Expected more than SLUICE_MAX_STREAMS: open streams would leave nobody else a connection",
  },
);
