export { cacheKey, ResponseCache, type CachedRequest, type Share } from "./cache.ts";
export {
  CancelFlags,
  type Cancellation,
  type CancelListener,
  type CancelReply,
  type CancelSubscription,
} from "./cancel.ts";
export { canonicalJson } from "./canonical-json.ts";
export type { ChunkEnd, ChunkEvent } from "./chunk-events.ts";
export { CHUNKS_TTL_MS, type ChunkWriter, type ChunkWriterOptions } from "./chunk-writer.ts";
export { ChunkReader, type PageQuery } from "./chunk-reader.ts";
export { ChunkStream, type ChunkRead } from "./chunks.ts";
export { ClaimStore, IDEMPOTENCY_WINDOW_MS, type Claim, type ClaimRequest } from "./claims.ts";
export { Heartbeat, HEARTBEAT_TTL_MS, type HeartbeatOptions } from "./heartbeat.ts";
export {
  describeDenied,
  describeIdentities,
  describeWorkers,
  IdentityNote,
  readIdentities,
  type DeniedWorker,
  type Identities,
  type IdentityNoteOptions,
  type LostIdentity,
} from "./identities.ts";
export { readOpenCall, type OpenCall } from "./open-call.ts";
export { CallLedger, type Begin, type CallLedgerOptions, type HeldQuota, type Permission } from "./ledger.ts";
export { Lineage } from "./lineage.ts";
export { OUTCOME_TTL_MS, OutcomeStore } from "./outcomes.ts";
export { describeUnserved, describeUnservedPool, readServed, ServedNote, type Served } from "./served.ts";
export { UsageStore, type ClassUsage, type UsedCall } from "./usage.ts";
