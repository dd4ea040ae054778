/** One letter on its page: shown as far as it can be read, and written to, by the last part of a URL. */
import type { Pools } from "@sluice/config";
import {
  isDeadLetterError,
  recordId,
  type Change,
  type DeadLetter,
  type DeadLetterStore,
  type Purge,
  type ShownLetter,
} from "@sluice/dead-letter";
import type { JobView, LetterRef, Replayer } from "@sluice/drain";
import { parseExact, parseJobId, replayId } from "@sluice/job";
import type { Request, Response } from "express";
import { z } from "zod";
import { auditOf } from "../access/audit.ts";
import { currentUser, demand, may } from "../access/user.ts";
import { withPatience } from "../kept.ts";
import { editLetter, readRequest } from "../letters/edit.ts";
import { unavailable } from "../letters/letter-view.ts";
import { redactRequest, sizeOfRequest } from "../letters/placeholders.ts";
import { replayOne } from "../letters/replay-one.ts";
import { Refused, refusedChange } from "../refusal.ts";
import { damagedPage, letterPage } from "./letter-page.ts";
import { letterUrl, PAGE } from "../paths.ts";

export interface LetterOptions {
  readonly store: DeadLetterStore;
  readonly pools: Pools;
  readonly replayer: Replayer;
  /** Where the job of a letter is now. */
  readonly find: (tenant: string, id: string) => Promise<JobView | undefined>;
  /** A letter was written. */
  readonly onChange: () => void;
}

/** A page waits longer than the board's polls do: one person asked for it. */
export const PAGE_PATIENCE_MS = 10_000;

async function load(store: DeadLetterStore, id: string): Promise<DeadLetter> {
  const letter = await patiently(store.get(id));
  if (letter === undefined) throw refusedChange("not-found");
  return letter;
}

/** A letter without its data, where that is damaged. Of a letter that is damaged itself: how to get rid of it. */
async function loadShown(store: DeadLetterStore, id: string): Promise<ShownLetter | Damage> {
  const whole = await patiently(store.get(id).catch(orDamage));
  const letter =
    whole !== undefined && "damage" in whole ? await patiently(store.look(id).catch(orDamage)) : whole;
  if (letter === undefined) throw refusedChange("not-found");
  return letter;
}

/** Why a letter cannot be read, and the revision by which it can be deleted. */
interface Damage {
  readonly damage: string;
  readonly revision: string;
}

function orDamage(error: unknown): Damage {
  if (!isDeadLetterError(error) || error.code !== "corrupt") throw error;
  return { damage: error.message, revision: error.revision ?? "" };
}

/** What the store answers in time. @throws Refused when it does not. */
async function patiently<T>(asked: Promise<T>): Promise<T> {
  return withPatience(asked, PAGE_PATIENCE_MS).catch((error: unknown) => {
    throw unavailable(error);
  });
}

export async function showLetter(
  { store, pools, find }: LetterOptions,
  request: Request,
  response: Response,
): Promise<void> {
  const user = currentUser();
  const wantsPrompt = request.query["prompt"] === "full";
  if (wantsPrompt) {
    // First the record: who may not is on it too.
    auditOf(response).intent("read the prompt");
    demand(user, "admin");
  }
  const id = String(request.params["id"]);
  const letter = await loadShown(store, id);
  if ("damage" in letter) {
    response.send(damagedPage({ user, id, ...letter }));
    return;
  }
  const read = await readRequest(letter);
  const open = wantsPrompt && may(user, "admin");
  const stored = read.readable ? read.request : undefined;
  const redacted = (whole: unknown): unknown =>
    may(user, "operator") ? redactRequest(whole, letter.kind, letter.revision) : sizeOfRequest(whole);
  const shown = open || stored === undefined ? stored : redacted(stored);
  const job = await withPatience(find(letter.tenant, letter.id)).then(
    (view) => (view === undefined ? "its outcome is no longer kept" : nowOf(view)),
    () => "not known while Redis does not answer",
  );
  // What is shown here is nobody else's, also not a cache's.
  response.set("cache-control", "no-store");
  response.send(letterPage({ user, letter, job, hasLane: hasLane(pools, letter), request: shown, open }));
}

function hasLane(pools: Pools, { pool, lane }: { readonly pool: string; readonly lane: string }): boolean {
  return pools.pools[pool]?.lanes.includes(lane) ?? false;
}

/** What whoever enqueued the job is told of it. */
function nowOf({ state, replay }: JobView): string {
  return replay === undefined ? state : `${state}, as replay ${replay}`;
}

const noteSchema = z.object({ note: z.string().max(1_000).default("") });
const revisionSchema = z.object({ revision: z.string() });
const replaySchema = z.object({ replays: z.coerce.number().int().nonnegative() });
const editSchema = z.object({ revision: z.string(), request: z.string() });

/** One write to one letter, by the last part of its URL. */
export async function operate(options: LetterOptions, request: Request, response: Response): Promise<void> {
  const { store, pools, onChange } = options;
  const { id, action } = { id: String(request.params["id"]), action: String(request.params["action"]) };
  const user = currentUser();
  const by = user.name;
  demand(user, action === "purge" ? "admin" : "operator");
  const body: unknown = request.body;
  switch (action) {
    case "replay":
      await replayOne(options.replayer, await refOf(store, id, formOf(replaySchema, body).replays), by);
      break;
    case "park": {
      const { note } = formOf(noteSchema, body);
      settled(await store.park(id, { by, ...(note === "" ? {} : { note }) }));
      break;
    }
    case "take-back":
      await takeBack(options, id, by);
      break;
    case "unpark":
      settled(await store.unpark(id, { by }));
      break;
    case "note": {
      const { note } = formOf(noteSchema, body);
      if (note === "") throw new Refused(400, "Expected a note, got nothing");
      settled(await store.note(id, { by, note }));
      break;
    }
    case "edit": {
      const { revision, request: text } = formOf(editSchema, body);
      await editLetter(store, pools, await load(store, id), { by, revision, request: parseJson(text) });
      break;
    }
    case "purge":
      settled(await store.purge(id, formOf(revisionSchema, body)));
      break;
    default:
      throw new Refused(404, "There is no such action");
  }
  onChange();
  response.redirect(303, action === "purge" ? PAGE : letterUrl(id));
}

/**
 * Gives up a claimed replay that no worker will ever put into a lane: the pools file has none for it any more.
 * @throws Refused when there is such a lane: then its workers decide.
 */
async function takeBack({ store, pools }: LetterOptions, id: string, by: string): Promise<void> {
  const letter = await patiently(store.look(id));
  if (letter === undefined) throw refusedChange("not-found");
  if (letter.state !== "replaying") throw refusedChange("state");
  const { pool, lane, claim } = letter;
  if (hasLane(pools, letter)) {
    throw new Refused(409, `Lane ${pool}.${lane} is there: its workers run the replay, or give it up`);
  }
  const note = `${claim.jobId} taken back: the pools file has no lane ${pool}.${lane}`;
  settled(await store.release(id, { jobId: claim.jobId, by, note }));
}

/** An id of ours says which lane it is of; of any other, which a version before stored, only its letter does. */
export async function refOf(store: DeadLetterStore, id: string, replays: number): Promise<LetterRef> {
  if (!Number.isSafeInteger(replays)) throw new Refused(400, "Expected the number of replays that were seen");
  const parts = parseJobId(id);
  if (parts !== undefined) {
    const record = recordId(id);
    const jobId = replays === 0 ? record : replayId(record, replays);
    return { id: record, jobId, pool: parts.pool, lane: parts.lane, replays };
  }
  const letter = await patiently(store.look(id));
  if (letter === undefined) throw refusedChange("not-found");
  return { id: letter.id, jobId: letter.jobId, pool: letter.pool, lane: letter.lane, replays };
}

export function formOf<T extends z.ZodType>(schema: T, body: unknown): z.output<T> {
  const parsed = schema.safeParse(body ?? {});
  if (parsed.success) return parsed.data;
  throw new Refused(
    400,
    `The form is not complete: ${parsed.error.issues.map(({ path }) => path.join(".")).join(", ")}`,
  );
}

function parseJson(text: string): unknown {
  const read = parseExact(text);
  if (read.type === "value") return read.value;
  if (read.type === "changed") throw new Refused(400, read.problem);
  throw new Refused(400, "Expected the request to be JSON. Go back, and check its commas and quotes");
}

function settled(change: Change | Purge): void {
  if (change.outcome === "refused") throw refusedChange(change.reason);
}
