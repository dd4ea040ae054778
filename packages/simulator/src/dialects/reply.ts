/** How an operation puts a generation into words of its protocol. */
import type { OutgoingHttpHeaders } from "node:http";
import type { Frame } from "@sluice/wire";
import type { AnswerPart } from "../faults/fault.ts";
import type { Model } from "../models/model.ts";
import type { Usage } from "../quota/cost.ts";
import type { ModelRequest } from "./model-request.ts";

/** An answer with everything a response reports about it. */
export interface Generation {
  readonly text: string;
  readonly stopReason: string;
  readonly stopSequence: string | undefined;
  readonly usage: Usage;
  /** From the arrival of the request to its first and to its last token. */
  readonly firstTokenMs: number;
  readonly latencyMs: number;
  /** What the response is to leave out. */
  readonly omit: readonly AnswerPart[];
}

/** A response in one piece. */
export interface WholeReply {
  readonly kind: "whole";
  render(generation: Generation): { readonly body: unknown; readonly headers?: OutgoingHttpHeaders };
}

/** A response in frames. */
export interface StreamReply {
  readonly kind: "stream";
  readonly headers?: OutgoingHttpHeaders;
  /** Before the first text. */
  open(input: Omit<Usage, "outputTokens">): Frame[];
  delta(text: string): Frame[];
  /** After the last text. */
  close(generation: Generation): Frame[];
}

/** A request as an operation understands it. */
export interface Reading {
  /** Costs no quota and no time of the model. */
  readonly isFree?: true;
  readonly request: ModelRequest;
  readonly reply: WholeReply | StreamReply;
}

/** Reads a body for a model. Throws a ServiceError for whatever the service would refuse. */
export type Read = (model: Model) => Reading;
