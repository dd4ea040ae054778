/** From a scripted error to the one on the wire. */
import { ServiceError, type ServiceErrorName } from "@sluice/wire";
import { throttleMessage } from "../quota/throttle.ts";
import type { Fault } from "./fault.ts";

/** A scripted exception. */
export type ErrorFault = Extract<Fault, { type: "error" }>;

const sentences: Partial<Record<ServiceErrorName, string>> = {
  AccessDeniedException: "You don't have access to the model with the specified model ID.",
  ConflictException: "Error occurred because of a conflict while performing an operation.",
  InternalServerException:
    "The system encountered an unexpected error during processing. Try your request again.",
  ModelErrorException: "The request failed due to an error while processing the model.",
  ModelNotReadyException: "The model specified in the request is not ready to serve inference requests.",
  ModelStreamErrorException: "The model returned an error while streaming.",
  ModelTimeoutException: "Model has timed out in processing the request. Try your request again.",
  OverloadedException: "Overloaded",
  ResourceNotFoundException:
    "The specified resource ARN was not found. Check the ARN and try your request again.",
  ServiceQuotaExceededException: "Your request exceeds the service quota for your account.",
  ServiceUnavailableException: "Bedrock is unable to process your request.",
  ThrottlingException: throttleMessage.requests,
  ValidationException: "Malformed input request, please reformat your input and try again.",
};

/** The error a fault stands for. */
export function raise(fault: ErrorFault, model: string, nowMs: number): ServiceError {
  const message = fault.message ?? sentenceOf(fault.name);
  const { retryAfterSeconds, dateSkewSeconds, status, originalStatusCode, originalMessage } = fault;
  return new ServiceError(fault.name, message.replace("{model}", model), {
    ...(status !== undefined && { status }),
    headers: {
      ...(retryAfterSeconds !== undefined && { "retry-after": String(retryAfterSeconds) }),
      ...(dateSkewSeconds !== undefined && { date: new Date(nowMs + dateSkewSeconds * 1_000).toUTCString() }),
    },
    details: {
      ...(originalStatusCode !== undefined && { originalStatusCode }),
      ...(originalMessage !== undefined && { originalMessage }),
    },
  });
}

/** Exceptions of the model itself: the call had been admitted and has cost its input. */
export function isModelFailure(fault: ErrorFault): boolean {
  return ["ModelErrorException", "ModelStreamErrorException", "ModelTimeoutException"].includes(fault.name);
}

function sentenceOf(name: string): string {
  return Object.entries(sentences).find(([known]) => known === name)?.[1] ?? "A scripted fault.";
}
