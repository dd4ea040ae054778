export { adviceFor } from "./advice.ts";
export {
  emitter,
  type DeferReason,
  type Emit,
  type Listener,
  type RepeatedError,
  type SluiceEvents,
} from "./events.ts";
export { contentProblem, DEEPEST_CONTENT } from "./content.ts";
export { invocationOf, writeInvocation, type Invocation } from "./invocation.ts";
export { parseJson } from "./json.ts";
export { parseExact, type ExactJson } from "./exact-json.ts";
export {
  failureKindSchema,
  failureSchema,
  readFailure,
  throttleDimensionSchema,
  type Failure,
  type FailureKind,
  type ThrottleDimension,
} from "./failure.ts";
export {
  FAILURES,
  type FailureCharge,
  type FailureCost,
  type FailureHealth,
  type FailureRow,
  type FailureRule,
  type FailureSubject,
} from "./failures.ts";
export { OWN_FAILURES, type OwnFailure } from "./own-failures.ts";
export { lifeOf, newJobId, parseJobId, replayId, type JobIdParts } from "./id.ts";
export {
  JOB_DATA,
  JOB_DATA_VERSION,
  jobDataSchema,
  parseJobData,
  payloadSchema,
  readJobData,
  readJobEnvelope,
  type JobData,
  type JobEnvelope,
  type Payload,
  type ReadJobData,
} from "./job.ts";
export {
  deadlineFailure,
  NO_NOTES,
  notesOf,
  readNotes,
  writeNotes,
  type LastFailure,
  type Notes,
} from "./notes.ts";
export { DEFAULT_LANES, nameSchema, queueName, tenantSchema } from "./names.ts";
export {
  answerSchema,
  outcomeSchema,
  usageSchema,
  type Answer,
  type AnsweredOutcome,
  type Outcome,
  type Usage,
} from "./outcome.ts";
export {
  asyncRequestSchema,
  converseRequestSchema,
  invokeRequestSchema,
  jobKindSchema,
  jobRequestSchema,
  type AsyncRequest,
  type ConverseRequest,
  type InvokeRequest,
  type JobKind,
  type JobRequest,
} from "./request.ts";
export { scrubError, scrubText, scrubUrl, type ToldError } from "./scrub.ts";
export { submissionSchema, type Submission, type ConversationInput } from "./submission.ts";
export {
  localTime,
  machineTime,
  type Clock,
  type LocalTime,
  type Random,
  type Sleep,
  type Time,
} from "./time.ts";
export { assertKnownVersion, newerVersion, NewerVersionError, versionOf } from "./version.ts";
