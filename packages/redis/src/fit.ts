/** Whether a Redis server may hold jobs at all, and what is wrong with one that may. */
import type { Redis } from "ioredis";
import { describeSkew, SKEW_MS, type RedisClock } from "./clock.ts";
import { troubleOf, unfitOf } from "./connection.ts";
import { isMovedOn } from "./reconnect.ts";
import { parseServer, type ServerState } from "./server.ts";
import { UnfitRedisError } from "./unfit.ts";

export type ProblemCode =
  /** It does not answer. */
  | "away"
  /** Connections lead to a server that is no primary, or not yet. */
  | "read-only"
  /** It has no memory left for a write. */
  | "full"
  /** It takes no writes while it cannot store them on disk. */
  | "disk"
  | "evicts"
  /** Its version does not know what scripts ask of it. */
  | "old"
  | "cluster"
  /** The database of the URL cannot be used. */
  | "database"
  /** It had an append-only file when the program started, and has none now. */
  | "persistence-lost"
  | "no-persistence"
  | "evicted"
  | "snapshot"
  /** The machine's clock and Redis's differ. */
  | "clock"
  /** They differ so far that nothing is started by them. */
  | "clock-apart"
  /** Redis's clock was set while programs ran. They go on by the time as it was. */
  | "clock-set";

/** One thing that is wrong, with what to do about it. */
export interface Problem {
  readonly code: ProblemCode;
  readonly message: string;
}

/** What a job that is accepted now may not survive, or what keeps it from being accepted. The others are warnings. */
const NOT_READY: ReadonlySet<ProblemCode> = new Set([
  "away",
  "read-only",
  "full",
  "disk",
  "evicts",
  "old",
  "cluster",
  "database",
  "persistence-lost",
]);

/** What ends the start of a program. */
const UNFIT: ReadonlySet<ProblemCode> = new Set(["evicts", "old", "cluster", "database", "clock-apart"]);

/** Redis takes the job, and may lose it. */
export function isUnsafe({ code }: Problem): boolean {
  return code === "evicts" || code === "persistence-lost";
}

export function isNotReady({ code }: Problem): boolean {
  return NOT_READY.has(code);
}

export function isUnfitting({ code }: Problem): boolean {
  return UNFIT.has(code);
}

/** Scripts that may run on a full Redis say so in a first line that is a syntax error before it. */
const OLDEST_MAJOR = 7;

/**
 * Checks what would lose jobs silently, or half of them: a server that evicts keys when its memory is full, one that is
 * too old for the scripts, a node of a cluster, a database that does not exist.
 * @throws UnfitRedisError saying what to change; the error of Redis when it does not answer.
 */
export async function assertFit(redis: Redis): Promise<void> {
  const info = await redis.info().catch((error: unknown) => {
    throw unfitOf(redis) ?? error;
  });
  throwUnfit(serverProblems(parseServer(info)));
}

/** @throws UnfitRedisError when one of these ends the start of a program. */
export function throwUnfit(problems: readonly Problem[]): void {
  const unfit = problems.find(isUnfitting);
  if (unfit !== undefined) throw new UnfitRedisError(unfit.message);
}

/**
 * What is wrong with a server by what it says of itself. Pure.
 * @param before what it is compared with, see `baselineOf`; default: it is the first look.
 */
export function serverProblems(
  server: ServerState,
  before: ServerState = baselineOf(undefined, server),
): Problem[] {
  const problems: Problem[] = [];
  const found = (code: ProblemCode, message: string): unknown => problems.push({ code, message });
  if (server.version !== undefined && Number.parseInt(server.version, 10) < OLDEST_MAJOR) {
    found(
      "old",
      `This Redis is version ${server.version}, and what ends jobs cannot run there: scripts need ${OLDEST_MAJOR}.0 or ` +
        "newer. Give Sluice a newer one",
    );
  }
  if (server.isCluster) {
    found(
      "cluster",
      "This Redis is a node of a Redis Cluster, and Sluice connects to one server: what belongs to another node would be " +
        "refused (MOVED). Give it a Redis with cluster mode off",
    );
  }
  if (server.policy !== "noeviction") {
    found(
      "evicts",
      `This Redis evicts keys when it is full (maxmemory-policy ${server.policy}), so accepted jobs could vanish. ` +
        `Set maxmemory-policy to noeviction, and give Sluice a Redis of its own`,
    );
  }
  if (server.evicted > before.evicted) {
    found(
      "evicted",
      "This Redis has dropped keys for room, so jobs that were accepted may be gone. Compare what callers were told with " +
        "what there is",
    );
  }
  if (server.isReplica) {
    found("read-only", "This Redis is a replica and takes no writes. Connect to its primary");
  }
  if (server.appendOnly === false) {
    if (before.appendOnly === true) {
      found(
        "persistence-lost",
        "This Redis no longer writes an append-only file, so a restart would lose accepted jobs. Set appendonly to yes, " +
          "or restart Sluice if that is meant",
      );
    } else {
      found(
        "no-persistence",
        "This Redis writes no append-only file, so a restart loses the jobs since its last snapshot, if it takes any. " +
          "Set appendonly to yes",
      );
    }
  }
  if (server.appendFails) {
    found("disk", "This Redis cannot write its append-only file and refuses writes. Look at its disk");
  }
  if (server.snapshotFails) {
    found(
      "snapshot",
      "The last snapshot of this Redis failed. Look at its disk: a restart may lose what was written since",
    );
  }
  return problems;
}

/**
 * What the next look at a server is compared with. Counts begin anew with each life of a server, and with another server:
 * those of the former one would hide what is dropped now, or take what the other one has dropped before for it. What the
 * first one has dropped before the program started may have been accepted jobs, and counts. Whether it has to write an
 * append-only file is how it was when the program started, whichever server answers. Pure.
 */
export function baselineOf(first: ServerState | undefined, server: ServerState): ServerState {
  if (first === undefined) return { ...server, evicted: 0 };
  return server.runId === first.runId ? first : { ...server, appendOnly: first.appendOnly };
}

/** What is wrong with the machine's clock, or with that of Redis. Pure. */
export function clockProblems({
  isSkewed,
  isApart,
  skewMs,
  correctionMs,
}: Pick<RedisClock, "isSkewed" | "isApart" | "skewMs" | "correctionMs">): Problem[] {
  const problems: Problem[] = [];
  if (isSkewed) {
    const message = `${describeSkew(skewMs)}, by which everything goes that processes share. Set up NTP on both`;
    problems.push({ code: "clock", message });
  }
  if (isApart) {
    problems.push({
      code: "clock-apart",
      message:
        `${describeSkew(skewMs)}, and one of them is wrong: no job is started by it. Set the wrong one (chronyc makestep, ` +
        "timedatectl set-ntp true)",
    });
  }
  if (Math.abs(correctionMs) >= SKEW_MS.told) {
    const set = `${(Math.abs(correctionMs) / 1_000).toFixed(0)} s ${correctionMs < 0 ? "forward" : "back"}`;
    problems.push({
      code: "clock-set",
      message:
        `The clock of Redis was set ${set} while programs ran. Whatever waits keeps the time it had, so jobs go by a time ` +
        "that is as far from Redis's, and 36 s nearer with each hour. It is right at once if Redis's clock was right before " +
        "and is set again",
    });
  }
  return problems;
}

/** What a refused write, or no answer, tells of a server. Pure. */
export function problemOf(error: unknown, redis?: Redis): Problem {
  const unfit = redis === undefined ? undefined : unfitOf(redis);
  if (unfit !== undefined) return { code: "database", message: unfit.message };
  const trouble = redis === undefined || isReply(error) ? undefined : troubleOf(redis);
  const text = trouble?.message ?? (error instanceof Error ? error.message : String(error));
  if (/(?:^|-)OOM\b/.test(text)) {
    return {
      code: "full",
      message: "Redis has no memory left for a write. Raise maxmemory, or let workers drain it",
    };
  }
  if (/(?:^|-)MISCONF\b/.test(text)) {
    return {
      code: "disk",
      message: "Redis refuses writes because it cannot store them on disk. Look at its disk",
    };
  }
  if ([error, trouble].some((each) => each instanceof Error && isMovedOn(each))) {
    return {
      code: "read-only",
      message: "Redis takes no writes: it is a replica, is loading its data or lacks replicas",
    };
  }
  const said = text.split("\n", 1)[0]?.slice(0, 200) ?? "";
  const hint = redis === undefined ? "" : tlsHint(redis);
  return {
    code: "away",
    message: `Redis ${isReply(trouble ?? error) ? "refuses" : "does not answer"}: ${said}${hint}`,
  };
}

/** No answer came in time. That may be this program's fault, when it was busy. */
export function isTimeout({ code, message }: Problem): boolean {
  return code === "away" && message.includes("timed out");
}

/**
 * A server without TLS waits in silence for the end of a line in what it takes for a command, and the driver says no more than
 * that time ran out. A sentence for a connection with TLS that is not there yet; empty for any other. Pure.
 */
export function tlsHint({ options, status }: Pick<Redis, "options" | "status">): string {
  if (options.tls === undefined || status === "ready") return "";
  return ". REDIS_URL begins with rediss://, so this port has to speak TLS; without it the URL begins with redis://";
}

function isReply(error: unknown): boolean {
  return error instanceof Error && error.name === "ReplyError";
}
