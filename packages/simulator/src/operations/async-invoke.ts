/** StartAsyncInvoke, GetAsyncInvoke and ListAsyncInvokes on the wire. */
import { randomUUID } from "node:crypto";
import { z } from "zod";
import { checkBody, invalid, parseJsonBody, ServiceError } from "@sluice/wire";
import type { Read } from "../dialects/reply.ts";
import { lognormal } from "../random.ts";
import type { Simulation } from "../simulation.ts";
import { type AsyncInvoke, statusAt } from "../async-invokes.ts";

/** In the model's input, this text lets the invocation be accepted and fail later. */
const FAILURE_MARKER = "[[sim:async-failure]]";

/** A parsed StartAsyncInvoke body. */
export interface StartBody {
  readonly modelId: string;
  readonly clientRequestToken?: string | undefined;
  readonly modelInput: Record<string, unknown>;
  readonly outputDataConfig: {
    readonly s3OutputDataConfig: {
      s3Uri: string;
      kmsKeyId?: string | undefined;
      bucketOwner?: string | undefined;
    };
  };
}

const startSchema: z.ZodType<StartBody> = z.looseObject({
  modelId: z.string().min(1).max(256),
  clientRequestToken: z
    .string()
    .min(1)
    .max(256)
    .regex(/^[!-~]*$/)
    .optional(),
  modelInput: z.record(z.string(), z.unknown()),
  outputDataConfig: z.looseObject({
    s3OutputDataConfig: z.looseObject({
      s3Uri: z.string().regex(/^s3:\/\/[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](\/.*)?$/),
      kmsKeyId: z.string().optional(),
      bucketOwner: z.string().optional(),
    }),
  }),
});

const dateTime = z.iso
  .datetime({ offset: true })
  .transform((text) => Date.parse(text))
  .optional();

const listSchema = z.looseObject({
  statusEquals: z.enum(["InProgress", "Completed", "Failed"]).optional(),
  submitTimeAfter: dateTime,
  submitTimeBefore: dateTime,
  sortOrder: z.enum(["Ascending", "Descending"]).default("Descending"),
  sortBy: z.enum(["SubmissionTime"]).default("SubmissionTime"),
  maxResults: z.coerce.number().int().min(1).max(1_000).default(100),
  nextToken: z.string().optional(),
});

/** The body names the model, so it is read before anything else is known. */
export function parseStart(body: Buffer): StartBody {
  return parseJsonBody(startSchema, body);
}

/** Accepts an invocation, or finds the one its token has already started. */
export function startAsyncInvoke(simulation: Simulation, region: string, body: StartBody): Read {
  return (model) => {
    if (model.kind !== "async") throw invalid("The provided model doesn't support async inference.");
    const { clientRequestToken = randomUUID(), modelId, modelInput, outputDataConfig } = body;
    const { s3Uri, kmsKeyId, bucketOwner } = outputDataConfig.s3OutputDataConfig;
    const fingerprint = JSON.stringify([modelId, modelInput, outputDataConfig]);
    return {
      isFree: true,
      request: {
        parts: [{ kind: "text", text: fingerprint }],
        maxTokens: 0,
        stopSequences: [],
        // The operation takes no metadata: its token is what tells its calls apart.
        metadata: { clientRequestToken },
      },
      reply: {
        kind: "whole",
        render: () => {
          const { timeToFirstTokenMs, sigma } = model.latency;
          const invoke = simulation.asyncInvokes.start(
            { region, model: modelId, clientRequestToken, fingerprint, s3Uri, kmsKeyId, bucketOwner },
            simulation.clock.now(),
            lognormal(timeToFirstTokenMs, sigma, simulation.random) * simulation.timeScale,
            fingerprint.includes(FAILURE_MARKER),
          );
          if (invoke === "conflict") {
            throw new ServiceError(
              "ConflictException",
              "The client request token was used before with different parameters.",
            );
          }
          return { body: { invocationArn: invoke.arn } };
        },
      },
    };
  };
}

/** Tells the state of one invocation. */
export function getAsyncInvoke(simulation: Simulation, invoke: AsyncInvoke): Read {
  return () => ({
    isFree: true,
    request: {
      parts: [],
      maxTokens: 0,
      stopSequences: [],
      metadata: { clientRequestToken: invoke.clientRequestToken },
    },
    reply: { kind: "whole", render: () => ({ body: describe(invoke, simulation.clock.now()) }) },
  });
}

/** @throws ServiceError for an ARN that names nothing. */
export function findAsyncInvoke(simulation: Simulation, arn: string): AsyncInvoke {
  const invoke = simulation.asyncInvokes.get(arn);
  // The operation models no ResourceNotFoundException; what the real service answers is not published.
  if (invoke === undefined) throw invalid("The provided invocation ARN is invalid.");
  return invoke;
}

/** One page of invocations. The token is the number of entries before the page. */
export function listAsyncInvokes(simulation: Simulation, region: string, query: URLSearchParams): unknown {
  const asked = checkBody(listSchema, Object.fromEntries(query));
  const from = asked.nextToken === undefined ? 0 : Number(asked.nextToken);
  if (!Number.isInteger(from) || from < 0) throw invalid("The provided next token is invalid.");
  const now = simulation.clock.now();
  const found = simulation.asyncInvokes.list(
    region,
    {
      status: asked.statusEquals,
      submittedAfterMs: asked.submitTimeAfter,
      submittedBeforeMs: asked.submitTimeBefore,
      order: asked.sortOrder,
    },
    now,
  );
  const next = from + asked.maxResults;
  return {
    asyncInvokeSummaries: found.slice(from, next).map((invoke) => describe(invoke, now)),
    ...(next < found.length && { nextToken: String(next) }),
  };
}

function describe(invoke: AsyncInvoke, nowMs: number): unknown {
  const status = statusAt(invoke, nowMs);
  const isOver = status !== "InProgress";
  const end = new Date(invoke.endsAtMs).toISOString();
  const submitTime = new Date(invoke.submittedAtMs).toISOString();
  const { s3Uri, kmsKeyId, bucketOwner } = invoke;
  return {
    invocationArn: invoke.arn,
    modelArn: `arn:aws:bedrock:${invoke.region}::foundation-model/${invoke.model}`,
    clientRequestToken: invoke.clientRequestToken,
    status,
    submitTime,
    lastModifiedTime: isOver ? end : submitTime,
    ...(isOver && { endTime: end }),
    ...(status === "Failed" && { failureMessage: "The model could not process the input." }),
    outputDataConfig: { s3OutputDataConfig: { s3Uri, kmsKeyId, bucketOwner } },
  };
}
