/** Calls to Bedrock for a pool, whose process guard hears what they meet. */
import type { BedrockCaller, FailedCall } from "@sluice/bedrock";
import type { ProcessGuard, Told } from "@sluice/drain";
import { FAILURES } from "@sluice/job";

/** What a pool asks of its Bedrock. */
export type GuardedBedrock = Pick<BedrockCaller, "call" | "pollAsync">;

type Result = { readonly type: string } | FailedCall;

export function guardedBedrock(bedrock: BedrockCaller, guard: ProcessGuard, pool: string): GuardedBedrock {
  const hear = async <R extends Result>(
    job: string,
    make: (onSent: () => void) => Promise<R | FailedCall>,
  ): Promise<R | FailedCall> => guard.hear({ subject: { pool, job }, make, tells, asOwn });
  return {
    call: async (call) => hear(call.jobId, async (onSent) => bedrock.call({ ...call, onSent })),
    pollAsync: async (call) =>
      hear(call.invocationArn, async (onSent) => bedrock.pollAsync({ ...call, onSent })),
  };
}

function tells(result: Result): Told {
  if (result.type === "aborted") return { type: "nothing" };
  if (!isFailed(result)) return { type: "accepted" };
  const { errorClass, status } = result.failure;
  if (FAILURES[result.rule].about === "identity") return { type: "refused", errorClass };
  // Whatever else has a status was looked at beyond its signature.
  return status === undefined ? { type: "nothing" } : { type: "accepted" };
}

/** As something that may not be called, by whomever: it is held as denied access is. */
function asOwn<R extends Result>(result: R | FailedCall): R | FailedCall {
  return isFailed(result)
    ? { ...result, rule: "refusedInFront", charge: FAILURES.refusedInFront.charge }
    : result;
}

function isFailed(result: Result): result is FailedCall {
  return result.type === "failed" && "failure" in result;
}
