/** The request of a letter, to be read and to be replaced. */
import { poolLimits, type Pools } from "@sluice/config";
import type { DeadLetter, DeadLetterStore, ShownLetter } from "@sluice/dead-letter";
import { requestProblem, type RequestRefusal } from "@sluice/drain";
import { requestBounds } from "@sluice/installation";
import { contentProblem, jobRequestSchema, type JobRequest } from "@sluice/job";
import { decodePayload, encodePayload } from "@sluice/job/payload";
import { refusedChange, Refused } from "../refusal.ts";
import { restoreRequest } from "./placeholders.ts";

/** A letter's request, or that nobody can read it. */
export type ReadRequest =
  | { readonly readable: true; readonly request: unknown }
  | { readonly readable: false };

export async function readRequest(letter: ShownLetter): Promise<ReadRequest> {
  if (letter.data === undefined) return { readable: false };
  try {
    return { readable: true, request: await decodePayload(letter.data.payload) };
  } catch {
    return { readable: false };
  }
}

export interface Edit {
  /** Who edits. */
  readonly by: string;
  /** The revision that was edited. */
  readonly revision: string;
  /** The new request; placeholders in it stand for the stored texts. */
  readonly request: unknown;
}

/**
 * Replaces the request of a letter by one that would have been accepted.
 * @throws Refused when it would not, or when the letter has changed since.
 */
export async function editLetter(
  store: DeadLetterStore,
  pools: Pools,
  letter: DeadLetter,
  { by, revision, request: submitted }: Edit,
): Promise<void> {
  if (letter.revision !== revision) throw refusedChange("changed");
  // Before anything walks through it, and again with the stored texts in their places.
  refuseUnsafe(submitted);
  const stored = await readRequest(letter);
  const request = restoreRequest(submitted, stored.readable ? stored.request : undefined, revision);
  refuseUnsafe(request);
  const parsed = jobRequestSchema.safeParse({ kind: letter.kind, request });
  if (!parsed.success) {
    // Only places and rules: what was put in may be a prompt.
    const problems = parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
    throw new Refused(400, `The request is not valid. ${problems.slice(0, 5).join("; ")}`);
  }
  const problem = problemOf(parsed.data, pools, letter.pool);
  if (problem !== undefined) throw new Refused(422, problem.message);
  const payload = await encodePayload(parsed.data.request);
  const change = await store.edit(letter.id, { by, revision, payload });
  if (change.outcome === "refused") throw refusedChange(change.reason);
}

/** Why its pool would refuse the request, as at the front door. Of a pool that is in no file any more nothing is known. */
function problemOf(work: JobRequest, { pools, scopes }: Pools, name: string): RequestRefusal | undefined {
  const bytes = Buffer.byteLength(JSON.stringify(work.request));
  const pool = pools[name];
  const scope = scopes[pool?.scope ?? ""];
  if (pool === undefined || scope === undefined) return undefined;
  return requestProblem({ work, bytes }, requestBounds(pool, poolLimits(pool, scope)));
}

/** @throws Refused for what could not be kept as it is. */
function refuseUnsafe(request: unknown): void {
  const problem = contentProblem(request);
  if (problem !== undefined) throw new Refused(400, problem);
}
