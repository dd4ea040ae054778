/** How soon after its fault an arm is answered again, and which arms may take longer, and why. Pure. */

/** What recovery is measured by. */
export interface RecoveredArm {
  readonly fault: string;
  readonly jobs: number;
  /** From the end of the fault to the end of the first call that was answered then, seconds. */
  readonly firstAnswerS: number | undefined;
  /** From there to the end of the last job that was there by then, seconds. Absent: none was. */
  readonly drainedS: number | undefined;
}

/** Seconds from the end of a fault to the end of the first answer. A call takes half a second here. */
export const RECOVERY_S = 10;

export interface Exception {
  /** Faults by name. Default: any. */
  readonly faults?: readonly string[];
  /** Arms of so many jobs at most. Default: any. */
  readonly mostJobs?: number;
  readonly withinS: number;
  readonly reason: string;
}

export const EXCEPTIONS: readonly Exception[] = [
  {
    mostJobs: 1,
    withinS: 60,
    reason: "No other job is answered that could bring its retry forward: its own backoff counts",
  },
  {
    faults: ["half-throttled", "half-throttled-mid-stream", "half-unavailable"],
    withinS: 30,
    reason:
      "Half is answered throughout: what is left has failed lately and waits out its backoff, or a chance probe",
  },
  {
    faults: ["retry-after"],
    withinS: 20,
    reason: "The last call of the fault is told to stay away for 10 s, and the whole pool does",
  },
  {
    faults: ["tokens-per-day"],
    withinS: 20,
    reason: "An operator releases it, and each process looks again when it next asks at the gate",
  },
  {
    faults: ["denied"],
    withinS: 70,
    reason: "An isolated pool tries one canary a minute",
  },
  {
    faults: [
      "expired",
      "unrecognised",
      "unknown-key",
      "bad-signature",
      "no-credentials",
      "one-without-credentials",
    ],
    withinS: 45,
    reason: "A process without credentials asks for new ones after 5, 10, 20 and 40 s",
  },
];

/** The bound of an arm, seconds: the longest of what applies to it. */
export function boundOf({ fault, jobs }: Pick<RecoveredArm, "fault" | "jobs">): number {
  const applying = EXCEPTIONS.filter(
    ({ faults, mostJobs = Infinity }) => (faults === undefined || faults.includes(fault)) && jobs <= mostJobs,
  );
  return Math.max(RECOVERY_S, ...applying.map(({ withinS }) => withinS));
}

/** Whether the arm was answered too late, or not at all though it had jobs left. One with nothing left is not. */
export function isLate(arm: RecoveredArm): boolean {
  if (arm.firstAnswerS === undefined) return arm.drainedS !== undefined;
  return arm.firstAnswerS > boundOf(arm);
}
