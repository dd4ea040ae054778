/** The HTTP face of accept and find. Parses at the edge, answers JSON, holds no state. */
import type { Acceptance, JobView } from "@sluice/drain";
import { submissionSchema, type Submission } from "@sluice/job";
import express, { type Express } from "express";
import helmet from "helmet";
import type { z } from "zod";
import { problemHandler, sendProblem, sendRefusal } from "./problem.ts";

export interface AppOptions {
  readonly accept: (tenant: string, submission: Submission) => Promise<Acceptance>;
  readonly find: (tenant: string, id: string) => Promise<JobView | undefined>;
  /** Resolves when the queue answers. */
  readonly ping: () => Promise<void>;
  /** Told of every error that is not the caller's. */
  readonly onError: (error: unknown) => void;
}

/** The one tenant there is until callers have keys. */
const TENANT = "default";

/** Room for a request of the largest size with its escapes; the request itself is measured after parsing. */
const BODY_LIMIT = "4mb";

export function createApp({ accept, find, ping, onError }: AppOptions): Express {
  const app = express();
  app.disable("x-powered-by");
  app.use(helmet());

  app.get("/healthz", (_request, response) => {
    response.json({ status: "ok" });
  });
  app.get("/readyz", async (_request, response) => {
    await ping();
    response.json({ status: "ready" });
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
    const acceptance = await accept(TENANT, parsed.data);
    if (acceptance.type === "refused") {
      sendRefusal(response, acceptance);
      return;
    }
    const { id, repeated, deadlineAt } = acceptance;
    response
      .status(repeated ? 200 : 202)
      .location(`/v1/jobs/${id}`)
      .json({ id, repeated, ...(repeated ? {} : { deadlineAt: iso(deadlineAt) }) });
  });

  app.get("/v1/jobs/:id", async (request, response) => {
    const view = await find(TENANT, request.params.id);
    if (view === undefined) {
      sendProblem(response, 404, "unknown-job", "There is no such job, or its outcome is no longer kept");
      return;
    }
    response.json(present(view));
  });

  app.use((request, response) => {
    sendProblem(response, 404, "unknown-path", `There is no ${request.method} ${request.path}`);
  });
  app.use(problemHandler(onError));
  return app;
}

/** A job as the API shows it. Times are ISO 8601. */
function present(view: JobView): object {
  switch (view.state) {
    case "waiting":
    case "delayed":
    case "active": {
      const { id, state, attempts, acceptedAt, deadlineAt } = view;
      return { id, state, attempts, acceptedAt: iso(acceptedAt), deadlineAt: iso(deadlineAt) };
    }
    case "completed":
    case "filtered": {
      const { id, state, outcome } = view;
      const { acceptedAt, endedAt, attempts, answer } = outcome;
      return { id, state, attempts, acceptedAt: iso(acceptedAt), endedAt: iso(endedAt), answer };
    }
    case "cancelled":
      return view;
    case "dead": {
      const { id, state, failure } = view;
      if (failure === undefined) return { id, state };
      return { id, state, failure: { errorClass: failure.errorClass, message: failure.message } };
    }
  }
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}

/** All problems of a body in one line: `lane: Invalid input; ...`. */
function sentence(error: z.ZodError): string {
  return error.issues
    .map(({ path, message }) => (path.length === 0 ? message : `${path.join(".")}: ${message}`))
    .join("; ");
}
