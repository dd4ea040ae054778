/** Enqueues over HTTP, as any service would, and keeps what it was promised. */
import { z } from "zod";
import { eachOf } from "./records.ts";

const acceptedSchema = z.object({ id: z.string() });

/**
 * Submits all. Resolves to the ids, in order of the submissions: from then on each is a promise.
 * @throws Error with the API's own words when one is refused.
 */
export async function submitAll(apiUrl: string, submissions: readonly object[]): Promise<string[]> {
  return eachOf(submissions, async (submission) => {
    const response = await fetch(`${apiUrl}/v1/jobs`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(submission),
    });
    if (!response.ok) throw new Error(`The API refused a job: ${response.status} ${await response.text()}`);
    return acceptedSchema.parse(await response.json()).id;
  });
}
