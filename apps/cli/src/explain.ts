/** `sluice explain`: why a job is where it is, asked of the API. */
import { z } from "zod";
import { print, printable, printJson } from "./terminal.ts";

const explanationSchema = z.looseObject({ id: z.string(), state: z.string(), why: z.string() });
const problemSchema = z.object({ error: z.object({ message: z.string() }) });

export async function explain(
  id: string,
  { api, json }: { readonly api: string; readonly json: boolean },
): Promise<void> {
  if (!URL.canParse(api))
    throw new Error(`Expected the API's URL, such as http://127.0.0.1:3000, got '${api}'`);
  const response = await fetch(new URL(`/v1/jobs/${encodeURIComponent(id)}/explain`, api)).catch(() => {
    throw new Error(`The API at ${api} does not answer. Name it with --api or SLUICE_API_URL`);
  });
  // What stands in front of the API, or something else on that port, may answer with a page.
  const body: unknown = await response.json().catch(() => undefined);
  const explanation = explanationSchema.safeParse(body);
  if (!response.ok || !explanation.success) {
    const problem = problemSchema.safeParse(body);
    if (problem.success) throw new Error(printable(problem.data.error.message));
    throw new Error(
      `What answers at ${api} is no Sluice API (${response.status}). Name it with --api or SLUICE_API_URL`,
    );
  }
  const { state, why } = explanation.data;
  if (json) printJson(body);
  else print(`${printable(state)}: ${printable(why)}`);
}
