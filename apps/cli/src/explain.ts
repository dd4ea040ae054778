/** `sluice explain`: why a job is where it is, asked of the API. */
import { z } from "zod";

const explanationSchema = z.looseObject({ id: z.string(), state: z.string(), why: z.string() });
const problemSchema = z.object({ error: z.object({ message: z.string() }) });

export async function explain(
  id: string,
  { api, json }: { readonly api: string; readonly json: boolean },
): Promise<void> {
  const response = await fetch(new URL(`/v1/jobs/${encodeURIComponent(id)}/explain`, api)).catch(() => {
    throw new Error(`The API at ${api} does not answer. Name it with --api or SLUICE_API_URL`);
  });
  const body: unknown = await response.json();
  if (!response.ok) throw new Error(problemSchema.parse(body).error.message);
  const { state, why } = explanationSchema.parse(body);
  process.stdout.write(`${json ? JSON.stringify(body) : `${state}: ${why}`}\n`);
}
