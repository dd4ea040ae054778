/**
 * The order in which a lane's jobs are fetched, as BullMQ priorities; the least number goes first. Never 0 or unset:
 * BullMQ serves that before all others.
 */

/** A job that comes back: one that waited once is next when due. */
export const RETURNED = 1;

/** A new job. */
export const FRESH = 2;

/** A job that was to start later: when due it gets turns of its own, so that thousands due at once hold up nobody. */
export const SCHEDULED = 3;

/** BullMQ's scores of waiting jobs: the priority times this, plus a counter that grows with every job. */
export const PRIORITY_SCORE = 0x1_0000_0000;
