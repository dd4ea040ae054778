/** The pages of dead letters: read by anybody who may use the board, written to by operators. */
import { readFileSync } from "node:fs";
import type { Pools } from "@sluice/config";
import { recordId, searchLetters, type DeadLetter, type DeadLetterStore } from "@sluice/dead-letter";
import { distinct, type JobView, type LetterRef, type Replayer } from "@sluice/drain";
import { parseJobId } from "@sluice/job";
import express, { type ErrorRequestHandler, type Request, type Response, type Router } from "express";
import { z } from "zod";
import { currentUser, demand, may } from "../access/user.ts";
import { withPatience } from "../kept.ts";
import { editLetter, readRequest } from "../letters/edit.ts";
import { unavailable } from "../letters/letter-view.ts";
import { redactRequest } from "../letters/placeholders.ts";
import { replayOne } from "../letters/replay-one.ts";
import { selectLetters, type Runs, type Selection } from "../letters/runs.ts";
import { Refused, refusedChange } from "../refusal.ts";
import { describeFilter, parseFilter, searchOf, type Filter } from "./filter.ts";
import { html, type Html } from "./html.ts";
import { letterPage } from "./letter-page.ts";
import { letterUrl, PAGE } from "./layout.ts";
import { dryRunPage, messagePage, runPage, runsPage } from "./replay-pages.ts";
import { hidden, searchPage } from "./search-page.ts";

export interface PagesOptions {
  readonly store: DeadLetterStore;
  readonly pools: Pools;
  /** Error classes that are known by now. */
  readonly classes: () => readonly string[];
  readonly replayer: Replayer;
  readonly runs: Runs;
  /** Where the job of a letter is now. */
  readonly find: (tenant: string, id: string) => Promise<JobView | undefined>;
  /** Replays that a lane holds at most. */
  readonly perLane: number;
  /** A letter was written. */
  readonly onChange: () => void;
  readonly onError: (error: unknown) => void;
}

/** A page waits longer than the board's polls do: one person asked for it. */
const PAGE_PATIENCE_MS = 10_000;

const PER_PAGE = 25;

/** An edited request of 1 MiB, as a form encodes its worst. */
const FORM_LIMIT = "4mb";

const css = readFileSync(new URL("../../static/page.css", import.meta.url), "utf8");
const script = readFileSync(new URL("../../static/page.js", import.meta.url), "utf8");

const searchQuerySchema = z.looseObject({ id: z.string().optional(), cursor: z.string().optional() });

const list = z.preprocess(
  (value) => (typeof value === "string" ? [value] : value),
  z.array(z.string()).max(100),
);

const replaysFormSchema = z.looseObject({
  scope: z.enum(["ticked", "filter"]),
  letter: list.default([]),
  start: z.string().optional(),
});

export function pages(options: PagesOptions): Router {
  const { runs } = options;
  const router = express.Router();
  router.use(express.urlencoded({ extended: false, limit: FORM_LIMIT }));
  router.get("/page.css", (_request, response) => void response.type("css").send(css));
  router.get("/page.js", (_request, response) => void response.type("js").send(script));
  router.get("/", async (request, response) => search(options, request, response));
  router.get("/letter/:id", async (request, response) => showLetter(options, request, response));
  router.post("/letter/:id/:action", async (request, response) => operate(options, request, response));
  router.get("/replays", (_request, response) => void response.send(runsPage(currentUser(), runs.all)));
  router.post("/replays", async (request, response) => replayMany(options, request, response));
  router.get("/replays/:run", (request, response) => {
    const run = runs.get(request.params.run);
    if (run === undefined) throw new Refused(404, "There is no such replay (any more)");
    response.send(runPage(currentUser(), run));
  });
  router.post("/replays/:run/stop", (request, response) => {
    demand(currentUser(), "operator");
    runs.stop(request.params.run);
    response.redirect(303, `${PAGE}/replays/${encodeURIComponent(request.params.run)}`);
  });
  router.use(() => {
    throw new Refused(404, "There is no such page");
  });
  router.use(failed(options.onError));
  return router;
}

async function search(options: PagesOptions, request: Request, response: Response): Promise<void> {
  const { store, pools, classes } = options;
  const { id, cursor, ...rest } = searchQuerySchema.parse(request.query);
  if (id !== undefined && id !== "") return response.redirect(303, letterUrl(recordId(id.trim())));
  const filter = parseFilter(rest);
  const page = { user: currentUser(), filter, pools, classes: classes() };
  try {
    const from = cursor === undefined ? {} : { cursor };
    const asked = { ...searchOf(filter, { pools, classes: classes() }), ...from, limit: PER_PAGE };
    const found = await withPatience(searchLetters(store, asked), PAGE_PATIENCE_MS);
    response.send(searchPage({ ...page, found }));
  } catch (error) {
    const { statusCode, message } =
      error instanceof RangeError ? new Refused(400, error.message) : unavailable(error);
    response.status(statusCode).send(searchPage({ ...page, found: undefined, problem: message }));
  }
}

async function load(store: DeadLetterStore, id: string): Promise<DeadLetter> {
  const letter = await patiently(store.get(id));
  if (letter === undefined) throw refusedChange("not-found");
  return letter;
}

/** What the store answers in time. @throws Refused when it does not. */
async function patiently<T>(asked: Promise<T>): Promise<T> {
  return withPatience(asked, PAGE_PATIENCE_MS).catch((error: unknown) => {
    throw unavailable(error);
  });
}

async function showLetter(
  { store, find }: PagesOptions,
  request: Request,
  response: Response,
): Promise<void> {
  const user = currentUser();
  const wantsPrompt = request.query["prompt"] === "full";
  if (wantsPrompt) demand(user, "admin");
  const letter = await load(store, String(request.params["id"]));
  const read = await readRequest(letter);
  const open = wantsPrompt && may(user, "admin");
  if (open) response.locals["audit"] = "read the prompt";
  const stored = read.readable ? read.request : undefined;
  const shown = open || stored === undefined ? stored : redactRequest(stored, letter.kind, letter.revision);
  const job = await withPatience(find(letter.tenant, letter.id)).then(
    (view) => (view === undefined ? "its outcome is no longer kept" : nowOf(view)),
    () => "not known while Redis does not answer",
  );
  // What is shown here is nobody else's, also not a cache's.
  response.set("cache-control", "no-store");
  response.send(letterPage({ user, letter, job, request: shown, open }));
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
async function operate(options: PagesOptions, request: Request, response: Response): Promise<void> {
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

/** First a dry run; with `start`, the replay itself. */
async function replayMany(options: PagesOptions, request: Request, response: Response): Promise<void> {
  const { store, pools, classes, runs, perLane } = options;
  const user = currentUser();
  demand(user, "operator");
  const body = formOf(replaysFormSchema, request.body);
  const { scope, letter: ticked, start, ...rest } = body;
  // Letters that die from now on are not meant, above all not those that this replay lets die again.
  const parsed = parseFilter(rest);
  const filter: Filter = { ...parsed, until: Math.min(parsed.until ?? Date.now(), Date.now()) };
  const selected = async (): Promise<Selection> => {
    if (scope === "filter") return select(store, filter, { pools, classes: classes() });
    const letters = await Promise.all(ticked.map(async (value) => parseTicked(store, value)));
    return { letters: distinct(letters), more: false };
  };
  const what = scope === "ticked" ? `${ticked.length} ticked` : describeFilter(filter);
  if (start !== undefined) {
    const { run } = await runs.startFound(selected, { by: user.name, what });
    response.locals["audit"] = `replay of ${run.total} letters: ${what}`;
    response.redirect(303, `${PAGE}/replays/${run.id}`);
    return;
  }
  const lanes = new Set(
    Object.values(pools.pools).flatMap((pool) => pool.lanes.map((lane) => `${pool.name}.${lane}`)),
  );
  const again: Html[] = [
    html`<input type="hidden" name="scope" value="${scope}" />`,
    ...hidden(filter),
    ...ticked.map((value) => html`<input type="hidden" name="letter" value="${value}" />`),
  ];
  const selection = await selected();
  response.send(dryRunPage({ user, selection, lanes, perLane, fields: again }));
}

async function select(
  store: DeadLetterStore,
  filter: Filter,
  known: { readonly pools: Pools; readonly classes: readonly string[] },
): Promise<Selection> {
  const state = filter.state.filter((each) => each === "dead" || each === "parked");
  if (state.length === 0) return { letters: [], more: false };
  return selectLetters(store, searchOf({ ...filter, state }, known)).catch((error: unknown) => {
    throw unavailable(error);
  });
}

async function parseTicked(store: DeadLetterStore, value: string): Promise<LetterRef> {
  const at = value.lastIndexOf("~");
  return refOf(store, value.slice(0, at), Number(value.slice(at + 1)));
}

/** An id of ours says which lane it is of; of any other, which a version before stored, only its letter does. */
async function refOf(store: DeadLetterStore, id: string, replays: number): Promise<LetterRef> {
  if (!Number.isSafeInteger(replays)) throw new Refused(400, "Expected the number of replays that were seen");
  const parts = parseJobId(id);
  if (parts !== undefined) return { id: recordId(id), pool: parts.pool, lane: parts.lane, replays };
  const letter = await patiently(store.look(id));
  if (letter === undefined) throw refusedChange("not-found");
  return { id: letter.id, pool: letter.pool, lane: letter.lane, replays };
}

function formOf<T extends z.ZodType>(schema: T, body: unknown): z.output<T> {
  const parsed = schema.safeParse(body ?? {});
  if (parsed.success) return parsed.data;
  throw new Refused(
    400,
    `The form is not complete: ${parsed.error.issues.map(({ path }) => path.join(".")).join(", ")}`,
  );
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Refused(400, "Expected the request to be JSON. Go back, and check its commas and quotes");
  }
}

function settled(change: Awaited<ReturnType<DeadLetterStore["park"]>>): void {
  if (change.outcome === "refused") throw refusedChange(change.reason);
}

/** Every error as a page, in words for the one who asked. */
function failed(onError: (error: unknown) => void): ErrorRequestHandler {
  return (error: unknown, _request, response, next) => {
    if (response.headersSent) {
      next(error);
      return;
    }
    const refused = asRefused(error);
    if (refused.statusCode >= 500) onError(error);
    response
      .status(refused.statusCode)
      .send(messagePage(currentUser(), "That did not work", refused.message));
  };
}

function asRefused(error: unknown): Refused {
  if (error instanceof Refused) return error;
  if (error instanceof RangeError) return new Refused(400, error.message);
  const isOfClient = error instanceof Error && "status" in error && typeof error.status === "number";
  if (isOfClient) return new Refused(Number(error.status), "The form cannot be read, or is too long");
  return unavailable(error);
}
