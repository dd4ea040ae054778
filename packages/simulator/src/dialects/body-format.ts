/** The native bodies of InvokeModel: each family of models has its own. */
import type { Model } from "../models/model.ts";
import type { ModelRequest } from "./model-request.ts";
import type { Generation } from "./reply.ts";
import type { Usage } from "../quota/cost.ts";

/** What the bodies of one request need to know. */
export interface Invocation {
  readonly request: ModelRequest;
  /** The response of InvokeModel. */
  whole(generation: Generation): unknown;
  /** The chunks of InvokeModelWithResponseStream; undefined for models that do not stream. */
  readonly stream?: {
    open(input: Omit<Usage, "outputTokens">): object[];
    delta(text: string): object[];
    close(generation: Generation): object[];
  };
}

/** One family's format. */
export interface BodyFormat {
  /** @throws ServiceError when the family would refuse the body. */
  read(body: unknown, model: Model, modelId: string): Invocation;
}

/** What a guardrail's block adds to any body: the reason to stop stays as it was. */
export function guardrail({ stopReason }: Generation): Record<string, unknown> {
  return stopReason === "guardrail_intervened" ? { "amazon-bedrock-guardrailAction": "INTERVENED" } : {};
}
