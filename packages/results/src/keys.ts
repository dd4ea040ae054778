/** All keys of this package. One job's keys are in one cluster slot, by the scope's hash tag. */
import type { KeySpace } from "@sluice/redis";

export const claimKey = (space: KeySpace, tenant: string, keyHash: string): string =>
  `${space}:claim:${tenant}:${keyHash}`;

export const outcomeKey = (space: KeySpace, id: string): string => `${space}:outcome:${id}`;

/** Keyed by the id of a job's first life. */
export const lineageKey = (space: KeySpace, id: string): string => `${space}:lineage:${id}`;

export const ledgerKey = (space: KeySpace, id: string): string => `${space}:ledger:${id}`;

/** Calls that others wait for, each with its owner, to be confirmed by that owner. */
export const doubtsKey = (space: KeySpace): string => `${space}:ledger-doubts`;

/** Who beats, by when that beat expires; and since when beats come without a gap. */
export const heartbeatKeys = (space: KeySpace): readonly [owners: string, since: string] => [
  `${space}:heartbeat:owners`,
  `${space}:heartbeat:since`,
];

/** What a process says of its credentials, beside its heartbeat. */
export const identityKey = (space: KeySpace, owner: string): string => `${space}:identity:${owner}`;

/** Which lanes a process serves, beside its heartbeat. */
export const servedKey = (space: KeySpace, owner: string): string => `${space}:serves:${owner}`;

/** The events, and what their writer may still do. */
export const chunkKeys = (space: KeySpace, id: string): readonly [events: string, writer: string] => [
  `${space}:chunks:${id}`,
  `${space}:chunks-writer:${id}`,
];

export const cacheKeys = (space: KeySpace, key: string): readonly [answer: string, leader: string] => [
  `${space}:cache:${key}`,
  `${space}:cache-leader:${key}`,
];

export const cancelKey = (space: KeySpace, id: string): string => `${space}:cancel:${id}`;

/** A pub/sub channel, not a key. */
export const cancelChannel = (space: KeySpace): string => `${space}:cancel`;
