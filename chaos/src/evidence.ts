/** What the simulator says happened: the other side's account, which knows nothing of ours. */
import { z } from "zod";

const callSchema = z.object({
  seq: z.int(),
  operation: z.string(),
  model: z.string(),
  /** The SDK's own count of tries; more than 1 is a call that nobody here knows of. */
  attempt: z.int().nullable(),
  startedAt: z.number(),
  endedAt: z.number(),
  /** It had got past the quota: the model may have worked on it. */
  admitted: z.boolean(),
  settledTokens: z.int(),
  inputTokens: z.int(),
  outputTokens: z.int(),
  fault: z.string().nullable(),
  requestMetadata: z.record(z.string(), z.string()).nullable(),
  outcome: z.enum(["completed", "filtered", "throttled", "error", "disconnected"]),
});

/** A finished call as the simulator saw it. */
export type SeenCall = z.infer<typeof callSchema>;

const pageSchema = z.object({ calls: z.array(callSchema), next: z.int(), forgotten: z.int() });
const statsSchema = z.object({ models: z.record(z.string(), z.object({ inFlight: z.int() })) });

const PAGE = 5_000;

/** Polls are not made for an answer: they ask about one. */
const POLL = "GetAsyncInvoke";

/**
 * The finished calls of every job, in the order of their ends, polls left out.
 * @throws Error when the simulator has forgotten some: then nothing could be proved.
 */
export async function readCalls(simulatorUrl: string): Promise<ReadonlyMap<string, readonly SeenCall[]>> {
  const byJob = new Map<string, SeenCall[]>();
  for (let after = 0; ;) {
    const page = pageSchema.parse(await getJson(`${simulatorUrl}/_sim/calls?after=${after}&limit=${PAGE}`));
    if (page.forgotten > 0)
      throw new Error("Expected the simulator to remember every call; it keeps 100,000");
    for (const call of page.calls) {
      if (call.operation === POLL) continue;
      const job = jobOf(call);
      byJob.set(job, [...(byJob.get(job) ?? []), call]);
    }
    if (page.calls.length < PAGE) return byJob;
    after = page.next;
  }
}

const invocationsSchema = z.object({
  asyncInvokeSummaries: z.array(
    z.object({ clientRequestToken: z.string(), status: z.enum(["InProgress", "Completed", "Failed"]) }),
  ),
  nextToken: z.string().optional(),
});

/** How far an async invocation is, as the simulator says. */
export type SeenInvocation = z.infer<typeof invocationsSchema>["asyncInvokeSummaries"][number]["status"];

/** The async invocations that were accepted, by job. A job cannot have two: its id is their token. */
export async function readInvocations(simulatorUrl: string): Promise<ReadonlyMap<string, SeenInvocation>> {
  const byJob = new Map<string, SeenInvocation>();
  for (let from = "0"; ;) {
    const url = `${simulatorUrl}/async-invoke?maxResults=1000&nextToken=${from}`;
    const page = invocationsSchema.parse(await getJson(url, { authorization: "Bearer chaos" }));
    for (const { clientRequestToken, status } of page.asyncInvokeSummaries) {
      byJob.set(clientRequestToken, status);
    }
    if (page.nextToken === undefined) return byJob;
    from = page.nextToken;
  }
}

/** Calls that the simulator is answering now. */
export async function countInFlight(simulatorUrl: string): Promise<number> {
  const { models } = statsSchema.parse(await getJson(`${simulatorUrl}/_sim/stats`));
  return Object.values(models).reduce((sum, { inFlight }) => sum + inFlight, 0);
}

/** An invocation's token is its job's id. A call that says nothing of its job belongs to none that we know. */
function jobOf({ requestMetadata }: SeenCall): string {
  return requestMetadata?.["jobId"] ?? requestMetadata?.["clientRequestToken"] ?? "";
}

async function getJson(url: string, headers: Readonly<Record<string, string>> = {}): Promise<unknown> {
  const response = await fetch(url, { headers });
  if (!response.ok) throw new Error(`Expected ${url} to answer, got HTTP ${response.status}`);
  return response.json();
}
