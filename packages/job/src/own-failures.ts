/** Reasons of Sluice's own for ending a job, beside what Bedrock answers. */
export type OwnFailure =
  | "deadline"
  | "tooLarge"
  | "stalled"
  | "malformed"
  | "callCap"
  | "asyncTimeout"
  | "outside";

export const OWN_FAILURES: Readonly<
  Record<OwnFailure, { readonly errorClass: string; readonly means: string; readonly advice: string }>
> = {
  deadline: {
    errorClass: "DeadlineExceeded",
    means: "The job's deadline passed before its turn came",
    advice: "It waited too long. A replay has as much time again",
  },
  tooLarge: {
    errorClass: "LargerThanAnyAnswered",
    means:
      "It was throttled to its deadline, while smaller calls passed; the message names the largest that did",
    advice: "Shorten it, lower `maxTokens`, or have the quota raised before a replay",
  },
  stalled: {
    errorClass: "StalledTooOften",
    means: "Its worker died under it more often than innocent crashes explain",
    advice: "Look at it before a replay",
  },
  malformed: {
    errorClass: "MalformedJob",
    means: "The job's data cannot be read by this version, or is another job's",
    advice: "Edit it before a replay, or close it",
  },
  callCap: {
    errorClass: "CallCapReached",
    means: "As many of its calls may have been paid as ever may, and none brought an answer",
    advice: "Look at why its answers got lost before a replay",
  },
  asyncTimeout: {
    errorClass: "AsyncTimeout",
    means: "Bedrock took longer over an async call than it may",
    advice: "Look the invocation up in the account: it may still end",
  },
  outside: {
    errorClass: "FailedOutsideSluice",
    means: "Something other than Sluice failed the job in its queue",
    advice: "Find out what else writes to this Redis",
  },
};
