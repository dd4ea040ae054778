/** The pages of dead letters: read by anybody who may use the board, written to by operators. */
import { readFileSync } from "node:fs";
import type { Pools } from "@sluice/config";
import { recordId, searchLetters, type DeadLetterStore } from "@sluice/dead-letter";
import { distinct, type LetterRef } from "@sluice/drain";
import type { Clock } from "@sluice/job";
import express, { type ErrorRequestHandler, type Request, type Response, type Router } from "express";
import { z } from "zod";
import { auditOf } from "../access/audit.ts";
import { formOfWrites } from "../access/body.ts";
import { currentUser, demand } from "../access/user.ts";
import { withPatience } from "../kept.ts";
import { unavailable } from "../letters/letter-view.ts";
import { selectLetters, type Runs, type Selection } from "../letters/runs.ts";
import { Refused } from "../refusal.ts";
import { Turns } from "../turns.ts";
import { describeFilter, parseFilter, searchOf, type Filter } from "./filter.ts";
import { html, type Html } from "./html.ts";
import { letterUrl, PAGE } from "../paths.ts";
import { formOf, operate, PAGE_PATIENCE_MS, refOf, showLetter, type LetterOptions } from "./one-letter.ts";
import { dryRunPage, messagePage, runPage, runsPage } from "./replay-pages.ts";
import { hidden, searchPage } from "./search-page.ts";

export interface PagesOptions extends LetterOptions {
  /** Error classes that are known by now. */
  readonly classes: () => readonly string[];
  readonly runs: Runs;
  readonly clock: Clock;
  /** Replays that a lane holds at most. */
  readonly perLane: number;
  readonly onError: (error: unknown) => void;
}

const PER_PAGE = 25;

/** Searches of all who search, at once and waiting: one for text looks at a thousand letters. */
const SEARCHES = { atOnce: 4, waiting: 50 };

/** An edited request of 1 MiB, as a form encodes its worst. */
const FORM_LIMIT = "4mb";

const css = readFileSync(new URL("../../static/page.css", import.meta.url), "utf8");
const script = readFileSync(new URL("../../static/page.js", import.meta.url), "utf8");

const searchQuerySchema = z.looseObject({ id: z.string().optional(), cursor: z.string().optional() });

/** @throws Refused for a field that is there twice. */
function searchQuery(query: unknown): z.output<typeof searchQuerySchema> {
  const parsed = searchQuerySchema.safeParse(query);
  if (parsed.success) return parsed.data;
  const fields = parsed.error.issues.map(({ path }) => path.join("."));
  throw new Refused(400, `The search is not valid. Expected one text: ${fields.join(", ")}`);
}

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
  const searches = new Turns(SEARCHES);
  const router = express.Router();
  router.use(...formOfWrites(FORM_LIMIT));
  router.get("/page.css", (_request, response) => void response.type("css").send(css));
  router.get("/page.js", (_request, response) => void response.type("js").send(script));
  router.get("/", async (request, response) => search({ ...options, searches }, request, response));
  router.get("/letter/:id", async (request, response) => showLetter(options, request, response));
  router.post("/letter/:id/:action", async (request, response) => operate(options, request, response));
  router.get("/replays", (_request, response) => void response.send(runsPage(currentUser(), runs.all)));
  router.post("/replays", async (request, response) => replayMany(options, request, response));
  router.get("/replays/:run", (request, response) => {
    const run = runs.get(request.params.run);
    if (run === undefined) throw new Refused(404, "There is no such replay (any more)");
    response.send(runPage(currentUser(), run, { joined: request.query["joined"] !== undefined }));
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

async function search(
  { store, pools, classes, searches }: PagesOptions & { readonly searches: Turns },
  request: Request,
  response: Response,
): Promise<void> {
  const { id, cursor, ...rest } = searchQuery(request.query);
  if (id !== undefined && id !== "") return response.redirect(303, letterUrl(recordId(id.trim())));
  const filter = parseFilter(rest);
  const page = { user: currentUser(), filter, pools, classes: classes() };
  try {
    const from = cursor === undefined ? {} : { cursor };
    const asked = { ...searchOf(filter, { pools, classes: classes() }), ...from, limit: PER_PAGE };
    const key = JSON.stringify([filter, cursor]);
    const searching = searches.take(key, async () => searchLetters(store, asked));
    const found = await withPatience(searching, PAGE_PATIENCE_MS);
    response.send(searchPage({ ...page, found }));
  } catch (error) {
    const { statusCode, message } = asRefused(error);
    response.status(statusCode).send(searchPage({ ...page, found: undefined, problem: message }));
  }
}

/** First a dry run; with `start`, the replay itself. */
async function replayMany(options: PagesOptions, request: Request, response: Response): Promise<void> {
  const { store, pools, classes, runs, clock, perLane } = options;
  const user = currentUser();
  demand(user, "operator");
  const body = formOf(replaysFormSchema, request.body);
  const { scope, letter: ticked, start, ...rest } = body;
  // Letters that die from now on are not meant, above all not those that this replay lets die again.
  const parsed = parseFilter(rest);
  const now = clock();
  const filter: Filter = { ...parsed, until: Math.min(parsed.until ?? now, now) };
  const selected = async (): Promise<Selection> => {
    if (scope === "filter") return select(store, filter, { pools, classes: classes() });
    const letters = await Promise.all(ticked.map(async (value) => parseTicked(store, value)));
    return { letters: distinct(letters), more: false };
  };
  // Without the time of the click: clicks on the same search are for the same letters.
  const words = describeFilter(parsed);
  const [what, key] = scope === "ticked" ? [`${ticked.length} ticked`, ticked.join(" ")] : [words, words];
  if (start !== undefined) {
    const { run, joined } = await runs.startFound(selected, { by: user.name, what, key });
    auditOf(response).detail(
      joined
        ? `nothing: replay ${run.id} has the letters`
        : `replay ${run.id} of ${run.total} letters: ${what}`,
    );
    response.redirect(303, `${PAGE}/replays/${run.id}${joined ? "?joined" : ""}`);
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
  const selection = await runs.preview(key, selected);
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
