/** The HTTP face of accept, find, cancel and explain. Parses at the edge, answers JSON, holds no state. */
import { lifeId, type Acceptance, type Cancelling, type JobView } from "@sluice/drain";
import { submissionSchema, type Submission } from "@sluice/job";
import type { Health } from "@sluice/redis";
import { isSafeFromOtherSites, misdirected, type HostedRequest } from "@sluice/process";
import express, { type Express, type Request, type Response } from "express";
import helmet from "helmet";
import { z } from "zod";
import { jsonBody } from "./body.ts";
import { iso, present, stateOf } from "./present.ts";
import { Problem, problemHandler, sendProblem, sendRefusal } from "./problem.ts";
import { sentence } from "./sentence.ts";
import { sendStream, type StreamEvent } from "./stream.ts";
import type { OpenStreams } from "./open-streams.ts";

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
  /** Whether a request asks for this program by one of its names. */
  readonly isOurs: (request: HostedRequest) => boolean;
  readonly streams: OpenStreams;
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

/** After so long it may make sense to ask again, seconds. */
const READY_RETRY_S = 5;

/** As Redis names an entry of a stream: two numbers of 64 bits. */
const eventIdSchema = z
  .string()
  .refine((id) => /^\d{1,20}-\d{1,20}$/.test(id) && id.split("-").every((part) => BigInt(part) < 2n ** 64n));

export function createApp(options: AppOptions): Express {
  const { accept, find, cancel, explain, read, inspect, onError } = options;
  const app = express();
  app.disable("x-powered-by");
  app.use(helmet());
  app.use((_request, response, next) => {
    response.set("cache-control", "no-store");
    next();
  });

  app.get("/healthz", (_request, response) => {
    response.json({ status: "ok" });
  });
  app.get("/readyz", async (request, response) => {
    const { ready, problems } = await options.health();
    // Under a name that is none of ours a page of another site may be asking.
    const isOurs = options.isOurs(request);
    if (!ready) {
      const reasons = problems.map(({ message }) => message).join(" ");
      response.set("retry-after", String(READY_RETRY_S));
      sendProblem(
        response,
        503,
        "not-ready",
        isOurs ? reasons : "This program is not ready. Its log says why",
      );
      return;
    }
    if (!isOurs) {
      response.json({ status: "ready" });
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

  // Health checks come before: load balancers ask by address.
  app.use((request, _response, next) => {
    if (!options.isOurs(request))
      throw new Problem(421, "misdirected-request", misdirected("SLUICE_ALLOWED_HOSTS"));
    if (!isSafeFromOtherSites(request.method, request.headers)) {
      throw new Problem(403, "cross-site", "This request comes from a page of another site. Send it as JSON");
    }
    next();
  });

  app.post("/v1/jobs", ...jsonBody, async (request, response) => {
    const body = withKey(request.body, idempotencyKey(request));
    const parsed = submissionSchema.safeParse(body);
    if (!parsed.success) {
      sendProblem(response, 400, "invalid-request", sentence(parsed.error, body));
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
    using place = options.streams.enter(request.socket.remoteAddress);
    const view = await find(TENANT, id);
    if (view === undefined) {
      unknownJob(response);
      return;
    }
    if (request.method === "HEAD") {
      response.type("text/event-stream").end();
      return;
    }
    const ended = view.state === "dead" ? "failed" : undefined;
    await sendStream(response, place.over, (signal) =>
      read(lifeId(view), { after: after.data, ended, signal }),
    );
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

/** @throws Problem when there are two: a proxy and a caller that differ would make two jobs, or bind the wrong one. */
function idempotencyKey({ headersDistinct }: Request): string | undefined {
  const [key, ...more] = headersDistinct["idempotency-key"] ?? [];
  if (more.length === 0) return key;
  throw new Problem(400, "invalid-request", "Expected one Idempotency-Key header, got several. Send one");
}

/** The body with the key of the header. @throws Problem when the body has another one. */
function withKey(body: object, key: string | undefined): object {
  if (key === undefined || Array.isArray(body)) return body;
  const own: unknown = Reflect.get(body, "idempotencyKey");
  if (own === undefined || own === key) return { ...body, idempotencyKey: key };
  const message =
    "Expected `idempotencyKey` and the header Idempotency-Key to be the same, got two keys. Send one";
  throw new Problem(400, "invalid-request", message);
}
