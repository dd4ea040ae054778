/** CountTokens: exact where it is offered, which is not for every model. */
import { CountTokensCommand } from "@aws-sdk/client-bedrock-runtime";
import type { Clock } from "@sluice/job";
import { z } from "zod";
import { makeCall } from "./call.ts";
import type { CountTokensCall } from "../bedrock-caller.ts";
import { toConversation } from "./converse.ts";
import type { Client } from "../sdk/sdk-client.ts";

const countedSchema = z.object({ inputTokens: z.int().nonnegative() });

/** Counts a prompt. `undefined` for whatever goes wrong: the caller has an estimate to fall back on. */
export async function countTokens(
  client: Client,
  clock: Clock,
  call: CountTokensCall,
): Promise<number | undefined> {
  const ended = await makeCall(client, clock, call, async ({ send }) => {
    const input = { converse: toConversation(call.request) };
    const command = new CountTokensCommand({ modelId: call.model, input });
    return countedSchema.safeParse(await send(command)).data;
  });
  return ended.type === "done" ? ended.value.inputTokens : undefined;
}
