/** The HTTP face of accept, find, cancel and explain. Parses at the edge, answers JSON, holds no state. */
import { lifeId, type Acceptance, type Cancelling, type JobView } from "@sluice/drain";
import { submissionSchema, type Submission } from "@sluice/job";
import type { Health } from "@sluice/redis";
import express, { type Express, type Response } from "express";
import helmet from "helmet";
import { z } from "zod";
import { iso, present, stateOf } from "./present.ts";
import { problemHandler, sendProblem, sendRefusal } from "./problem.ts";
import { sendStream, type StreamEvent } from "./stream.ts";

export interface AppOptions {
  readonly accept: (tenant: string, submission: Submission) => Promise<Acceptance>;
  readonly find: (tenant: string, id: string) => Promise<JobView | undefined>;
  readonly cancel: (tenant: string, id: string) => Promise<Cancelling | undefined>;
  readonly explain: (tenant: string, id: string) => Promise<object | undefined>;
  /** The text of one life of a job. */
  readonly read: (id: string, options: ReadOptions) => AsyncIterable<StreamEvent>;
  /** A pool as it is now; `undefined` when there is none of that name. */
  readonly inspect: (pool: string) => Promise<object | undefined>;
  /** How Redis is; a read and a write of it prove it. Never rejects. */
  readonly health: () => Promise<Health>;
  /** Why a job that is accepted now could be lost; `undefined` while none would. */
  readonly unsafe: () => string | undefined;
  /** What there is to say about the credentials of workers, by scope; a scope whose workers all have some is left out. */
  readonly identities: () => Promise<Readonly<Record<string, string>>>;
  /** Told of every error that is not the caller's. */
  readonly onError: (error: unknown) => void;
}

export interface ReadOptions {
  /** Go on after this event. */
  readonly after: string | undefined;
  /** The job is known to have ended so. */
  readonly ended: "failed" | undefined;
  readonly signal: AbortSignal;
}

/** The one tenant there is until callers have keys. */
const TENANT = "default";

/** Room for a request of the largest size with its escapes; the request itself is measured after parsing. */
const BODY_LIMIT = "4mb";

/** After so long it may make sense to ask again, seconds. */
const READY_RETRY_S = 5;

/** As Redis names an entry of a stream. */
const eventIdSchema = z.string().regex(/^\d{1,20}-\d{1,20}$/);

export function createApp(options: AppOptions): Express {
  const { accept, find, cancel, explain, read, inspect, onError } = options;
  const app = express();
  app.disable("x-powered-by");
  app.use(helmet());

  app.get("/healthz", (_request, response) => {
    response.json({ status: "ok" });
  });
  app.get("/readyz", async (_request, response) => {
    const { ready, problems } = await options.health();
    if (!ready) {
      response.set("retry-after", String(READY_RETRY_S));
      sendProblem(response, 503, "not-ready", problems.map(({ message }) => message).join(" "));
      return;
    }
    // Jobs are taken whatever the workers lack: they wait.
    const identities = await options.identities();
    response.json({
      status: "ready",
      ...(problems.length === 0 ? {} : { warnings: problems.map(({ message }) => message) }),
      ...(Object.keys(identities).length === 0 ? {} : { identities }),
    });
  });

  app.post("/v1/jobs", express.json({ limit: BODY_LIMIT }), async (request, response) => {
    if (request.is("application/json") === false) {
      sendProblem(response, 415, "unsupported-media-type", "Send JSON with content-type: application/json");
      return;
    }
    const key = request.get("idempotency-key");
    const body: unknown = request.body;
    const parsed = submissionSchema.safeParse(
      key === undefined || typeof body !== "object" ? body : { ...body, idempotencyKey: key },
    );
    if (!parsed.success) {
      sendProblem(response, 400, "invalid-request", sentence(parsed.error));
      return;
    }
    const unsafe = options.unsafe();
    if (unsafe !== undefined) {
      response.set("retry-after", String(READY_RETRY_S));
      sendProblem(response, 503, "redis-unsafe", unsafe);
      return;
    }
    const acceptance = await accept(TENANT, parsed.data);
    if (acceptance.type === "refused") {
      sendRefusal(response, acceptance);
      return;
    }
    const { id, repeated, deadlineAt } = acceptance;
    response.status(repeated ? 200 : 202).location(`/v1/jobs/${id}`);
    if (!repeated) {
      response.json({ id, repeated, deadlineAt: iso(deadlineAt) });
      return;
    }
    // The job is there, whatever can be said of it now.
    const view = await find(TENANT, id).catch(onError);
    response.json({ id, repeated, ...(view === undefined ? {} : stateOf(view)) });
  });

  app.get("/v1/jobs/:id", async (request, response) => {
    const view = await find(TENANT, request.params.id);
    if (view === undefined) unknownJob(response);
    else response.json(present(view));
  });

  app.post("/v1/jobs/:id/cancel", async (request, response) => {
    const { id } = request.params;
    const result = await cancel(TENANT, id);
    if (result === undefined) unknownJob(response);
    else if (result === "ended") {
      sendProblem(response, 409, "already-ended", "The job has ended. Read it to see how");
    } else response.status(result === "cancelled" ? 200 : 202).json({ id, state: result });
  });

  app.get("/v1/jobs/:id/explain", async (request, response) => {
    const explanation = await explain(TENANT, request.params.id);
    if (explanation === undefined) unknownJob(response);
    else response.json(explanation);
  });

  app.get("/v1/jobs/:id/stream", async (request, response) => {
    const { id } = request.params;
    const after = eventIdSchema.optional().safeParse(request.get("last-event-id"));
    if (!after.success) {
      sendProblem(response, 400, "invalid-request", "Expected Last-Event-ID to be the id of an event");
      return;
    }
    const view = await find(TENANT, id);
    if (view === undefined) {
      unknownJob(response);
      return;
    }
    const ended = view.state === "dead" ? "failed" : undefined;
    await sendStream(response, (signal) => read(lifeId(view), { after: after.data, ended, signal }));
  });

  app.get("/v1/pools/:pool", async (request, response) => {
    const inspection = await inspect(request.params.pool);
    if (inspection === undefined) {
      sendProblem(response, 404, "unknown-pool", "There is no such pool");
    } else response.json(inspection);
  });

  app.use((request, response) => {
    sendProblem(response, 404, "unknown-path", `There is no ${request.method} ${request.path}`);
  });
  app.use(problemHandler(onError));
  return app;
}

function unknownJob(response: Response): void {
  sendProblem(response, 404, "unknown-job", "There is no such job, or its outcome is no longer kept");
}

/** All problems of a body in one line: `lane: Invalid input; ...`. */
function sentence(error: z.ZodError): string {
  return error.issues
    .map((issue) => {
      if (issue.code === "unrecognized_keys") {
        return `There is no field \`${issue.keys.join("`, `")}\` here; docs/api.md has the fields of each kind`;
      }
      return issue.path.length === 0 ? issue.message : `${issue.path.join(".")}: ${issue.message}`;
    })
    .join("; ");
}
