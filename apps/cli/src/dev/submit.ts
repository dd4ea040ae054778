/** Enqueues over HTTP, as any service would. */
import type { ConversationInput } from "@sluice/job";
import { z } from "zod";

const acceptedSchema = z.object({ id: z.string() });

/** Requests under way at once. */
const CONCURRENCY = 16;

/**
 * Submits all, in order of the list. Resolves to the ids.
 * @param onAccepted hears of each, and its lane. Default: nobody.
 * @throws Error with the API's own words when one is refused.
 */
export async function submitAll(
  apiUrl: string,
  submissions: readonly ConversationInput[],
  onAccepted: (lane: string) => void = () => {},
): Promise<string[]> {
  const ids: string[] = [];
  const waiting = submissions.values();
  const worker = async (): Promise<void> => {
    for (const submission of waiting) {
      ids.push(await submit(apiUrl, submission));
      onAccepted(submission.lane);
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, worker));
  return ids;
}

async function submit(apiUrl: string, submission: ConversationInput): Promise<string> {
  const response = await fetch(`${apiUrl}/v1/jobs`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(submission),
  });
  if (!response.ok) throw new Error(`The API refused a job: ${response.status} ${await response.text()}`);
  return acceptedSchema.parse(await response.json()).id;
}

const viewSchema = z.object({ state: z.string() });

/** How many of the jobs are in each state, as the API tells it. `unknown` for one that it does not know. */
export async function countStates(apiUrl: string, ids: readonly string[]): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  const waiting = ids.values();
  const worker = async (): Promise<void> => {
    for (const id of waiting) {
      const response = await fetch(`${apiUrl}/v1/jobs/${id}`);
      const state = response.ok ? viewSchema.parse(await response.json()).state : "unknown";
      counts[state] = (counts[state] ?? 0) + 1;
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, worker));
  return counts;
}
