/** Calls to Bedrock for a pool, whose process guard hears what they meet. */
import type { BedrockCaller, FailedCall } from "@sluice/bedrock";
import type { ProcessGuard, Told } from "@sluice/drain";
import { FAILURES } from "@sluice/job";

type Result = { readonly type: string } | FailedCall;

export function guardedBedrock(bedrock: BedrockCaller, guard: ProcessGuard, pool: string): BedrockCaller {
  const hear = async <R extends Result>(
    job: string,
    make: (onSent: () => void) => Promise<R | FailedCall>,
  ): Promise<R | FailedCall> => guard.hear({ subject: { pool, job }, make, tells, asOwn });
  return {
    ...bedrock,
    converse: async (call) => hear(call.jobId, async (onSent) => bedrock.converse({ ...call, onSent })),
    stream: async (call) => hear(call.jobId, async (onSent) => bedrock.stream({ ...call, onSent })),
    invoke: async (call) => hear(call.jobId, async (onSent) => bedrock.invoke({ ...call, onSent })),
    startAsync: async (call) => hear(call.jobId, async (onSent) => bedrock.startAsync({ ...call, onSent })),
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
