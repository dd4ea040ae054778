/** What can be asked of Bedrock, and how each kind of call can end. */
import type {
  Answer,
  AsyncRequest,
  ConverseRequest,
  Failure,
  FailureCharge,
  FailureRule,
  InvokeRequest,
  JobRequest,
} from "@sluice/job";

/** Bedrock's service tiers. Not every model has every one; one it does not have is a `ValidationException`. */
export type ServiceTier = "default" | "priority" | "flex" | "reserved";

/** What every call runs within. */
export interface CallBounds {
  /** Ends the call from outside. */
  readonly signal: AbortSignal;
  /** For the whole call, from connecting to the last byte. Milliseconds. */
  readonly timeoutMs: number;
  /**
   * Of a streamed answer: the longest silence, before its first event and between two. Milliseconds. Default: as long
   * as the call may take.
   */
  readonly silenceMs?: number | undefined;
  /** Called when there is a connection and the request is on its way; again when it is sent anew. Must not throw. */
  readonly onSent?: (() => void) | undefined;
}

interface ModelCall extends CallBounds {
  /** Id or ARN of a model or inference profile. */
  readonly model: string;
  /** Appears in the account's invocation logs. */
  readonly jobId: string;
  /** Default: none is asked for, which is Bedrock's `default`. */
  readonly serviceTier?: ServiceTier | undefined;
}

export interface ConverseCall extends ModelCall {
  readonly request: ConverseRequest;
}

export interface StreamCall extends ConverseCall {
  /** Gets the text piece by piece while it arrives, and nothing after the call has ended. Must not throw. */
  onText(chunk: string): void;
}

export interface InvokeCall extends ModelCall {
  readonly request: InvokeRequest;
  /** With `request.stream`, as in `StreamCall`: the text of known families. Other models' chunks are only in `body`. */
  onText?(chunk: string): void;
}

export interface StartAsyncCall extends Omit<ModelCall, "serviceTier"> {
  readonly request: AsyncRequest;
}

export interface PollAsyncCall extends CallBounds {
  /** As `startAsync` has returned it. */
  readonly invocationArn: string;
}

export interface CountTokensCall extends CallBounds {
  readonly model: string;
  readonly request: ConverseRequest;
}

/** A call with an answer in it. */
export interface AnsweredCall {
  /** `filtered`: a content filter stopped it. `text` is what came before, often nothing. */
  readonly type: "answered" | "filtered";
  readonly answer: Answer;
  /** Bedrock did not report the usage: `answer.usage` is our own guess, and nothing to learn from. */
  readonly usageEstimated?: true;
}

export interface FailedCall {
  readonly type: "failed";
  readonly failure: Failure;
  /** The row of the failure table: what follows from it. */
  readonly rule: FailureRule;
  /** What the quota is to be charged: the row's, or `estimate` if the call had been admitted by then. */
  readonly charge: FailureCharge;
  /** Our own process stood still meanwhile: what the call met says nothing about the health of the pool. */
  readonly stood?: true;
  /** For a stream that was cut: about how many tokens of its answer had arrived. Never 0. */
  readonly observedOutputTokens?: number;
}

/** `signal` ended the call. It may have been billed. */
export interface AbortedCall {
  readonly type: "aborted";
  /** As in `FailedCall`. */
  readonly observedOutputTokens?: number;
}

/** How a call ended. */
export type CallResult = AnsweredCall | FailedCall | AbortedCall;

/** How the start of an async invocation ended. */
export type StartResult =
  | { readonly type: "started"; readonly invocationArn: string }
  /** A content filter refused the input. */
  | AnsweredCall
  | FailedCall
  | AbortedCall;

/** What a poll has found. */
export type PollResult =
  | { readonly type: "in-progress" }
  /** `answer.s3Uri` is where the model wrote; its usage is 0, since Bedrock reports none. */
  | AnsweredCall
  /** The invocation is over without an answer, or there is none of this ARN: polling again finds the same. */
  | { readonly type: "stopped"; readonly failure: Failure }
  /** The poll failed, and says nothing about the invocation. */
  | FailedCall
  | AbortedCall;

export interface WorkCall extends ModelCall {
  /** A request of whatever kind. */
  readonly work: JobRequest;
  /** As in `StreamCall`, where the request is streamed. */
  readonly onText: (chunk: string) => void;
}

/** Makes calls, one request each. None of these rejects, whatever happens to the call. */
export interface BedrockCaller {
  /** Makes the call that the request's kind asks for. A start has no service tier, and only streams have a silence. */
  call(call: WorkCall): Promise<CallResult | StartResult>;
  /** Converse: the whole answer at once. */
  converse(call: ConverseCall): Promise<CallResult>;
  /** ConverseStream: answered once the model has said that it is done, which a broken stream never does. */
  stream(call: StreamCall): Promise<CallResult>;
  /**
   * InvokeModel: the model's own body in, its own body out. With `request.stream`, InvokeModelWithResponseStream:
   * `body` is the list of its chunks, and it is answered once the model, or Bedrock's metrics, have ended it.
   */
  invoke(call: InvokeCall): Promise<CallResult>;
  /** StartAsyncInvoke. The job's id is its token, so that a second start of a job finds the first invocation. */
  startAsync(call: StartAsyncCall): Promise<StartResult>;
  /** GetAsyncInvoke: how far an invocation is. */
  pollAsync(call: PollAsyncCall): Promise<PollResult>;
  /** CountTokens: free of quota. `undefined` when it fails, as for models that do not support it. */
  countTokens(call: CountTokensCall): Promise<number | undefined>;
  /**
   * Forgets the credentials and the files they come from, and gets new ones. Resolves to the failure when none come.
   */
  renewIdentity(): Promise<FailedCall | undefined>;
  /** Closes idle connections; calls under way end as failures. */
  close(): void;
}
