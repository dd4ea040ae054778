/** Calls to Bedrock whose identity guard hears what they tell of the credentials. */
import type { BedrockCaller, FailedCall } from "@sluice/bedrock";
import type { IdentityGuard, Told } from "@sluice/drain";
import { FAILURES } from "@sluice/job";

type Result = { readonly type: string } | FailedCall;

export function guardedBedrock(bedrock: BedrockCaller, guard: IdentityGuard): BedrockCaller {
  return {
    ...bedrock,
    converse: async (call) => guard.hear(async () => bedrock.converse(call), tells),
    stream: async (call) => guard.hear(async () => bedrock.stream(call), tells),
    invoke: async (call) => guard.hear(async () => bedrock.invoke(call), tells),
    startAsync: async (call) => guard.hear(async () => bedrock.startAsync(call), tells),
    pollAsync: async (call) => guard.hear(async () => bedrock.pollAsync(call), tells),
  };
}

function tells(result: Result): Told {
  if (result.type === "aborted") return { type: "nothing" };
  if (!("failure" in result) || result.type !== "failed") return { type: "accepted" };
  const { errorClass, status } = result.failure;
  if (FAILURES[result.rule].about === "identity") return { type: "refused", errorClass };
  // Whatever else has a status was looked at beyond its signature.
  return status === undefined ? { type: "nothing" } : { type: "accepted" };
}
