/** Asks the API and the board, and reads what trials need of the answers. */
import { z } from "zod";
import { LANE, POOL } from "./pools.ts";

export interface Answered {
  readonly status: number;
  readonly body: unknown;
}

/** One that was known by its key has no deadline to tell. */
const acceptedSchema = z.object({
  id: z.string(),
  repeated: z.boolean(),
  deadlineAt: z.iso.datetime().optional(),
});
export type Accepted = z.infer<typeof acceptedSchema>;

/** Posts a job; what is left out is usual. @throws ZodError when it is refused. */
export async function post(apiUrl: string, job: object = {}): Promise<Accepted> {
  return acceptedSchema.parse((await tryPost(apiUrl, job)).body);
}

/** Posts a job that may be refused. */
export async function tryPost(apiUrl: string, job: object = {}): Promise<Answered> {
  const usual = { pool: POOL, lane: LANE, ...("kind" in job ? {} : { prompt: "?", maxTokens: 20 }) };
  return askFor(`${apiUrl}/v1/jobs`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ ...usual, ...job }),
  });
}

export async function askFor(url: string, init: RequestInit = {}): Promise<Answered> {
  const response = await fetch(url, init);
  const text = await response.text();
  return { status: response.status, body: text === "" ? undefined : JSON.parse(text) };
}

const queuesSchema = z.object({
  queues: z.array(
    z.object({
      name: z.string(),
      description: z.string().optional(),
      counts: z.record(z.string(), z.number()),
      jobs: z.array(z.object({ id: z.union([z.string(), z.null()]).optional() })),
    }),
  ),
});
export type BoardQueue = z.infer<typeof queuesSchema>["queues"][number];

/** A queue as the board shows it, with the jobs of one of its tabs. */
export async function boardQueue(
  boardUrl: string,
  name: string,
  status = "latest",
): Promise<BoardQueue | undefined> {
  const query = `activeQueue=${name}&status=${status}&page=1&jobsPerPage=200`;
  const { body } = await askFor(`${boardUrl}/api/queues?${query}`);
  return queuesSchema.parse(body).queues.find((queue) => queue.name === name);
}
