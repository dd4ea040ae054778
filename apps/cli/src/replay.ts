/** `sluice dead-letters replay`: one letter, several, or all that match, a few at a time. */
import { recordId, searchLetters, type DeadLetterStore } from "@sluice/dead-letter";
import { distinct, Replayer, type LetterRef } from "@sluice/drain";
import type { Operations } from "@sluice/limits";
import { deploymentEnv, parseEnv } from "@sluice/process";
import { z } from "zod";
import { openInstallation } from "./installation.ts";
import { groupsOf, withStore, type LetterSelection } from "./letters.ts";
import { accountHere, actorHere } from "./operator.ts";
import { print, printable, printJson, tell } from "./terminal.ts";

export interface ReplayCommand extends Omit<LetterSelection, "state"> {
  /** Replay everything, where neither ids nor a class, lane or tenant say what. */
  readonly all: boolean;
  readonly dryRun: boolean;
  /** Replays that a lane holds at most. */
  readonly perLane: number;
  readonly json: boolean;
  /** Who replays, for the history of each letter. Default: the user of this machine. */
  readonly by?: string;
}

const envSchema = z
  .object(deploymentEnv)
  .pick({ SLUICE_POOLS: true, SLUICE_NAMESPACE: true, REDIS_URL: true });

/** Letters of one command at most. */
const MOST = 10_000;

/** Ends with exit code 1 when a letter was not replayed. */
export async function replayDeadLetters(ids: readonly string[], command: ReplayCommand): Promise<void> {
  // Known as soon as Redis is asked, which a dry run never is.
  let clock: () => number = Date.now;
  const replayAll = async (store: DeadLetterStore): Promise<void> => {
    if (command.dryRun) {
      const letters = await selectLetters(store, ids, command, clock());
      if (command.json) printJson({ dryRun: true, letters });
      else for (const { id } of letters) print(`would replay ${printable(id)}`);
      return;
    }
    await using installation = await openInstallation(parseEnv(envSchema, process.env), "producer");
    ({ clock } = installation);
    const letters = await selectLetters(store, ids, command, clock());
    const { pools } = installation;
    const replayer = new Replayer({ letters: store, pools, perLane: command.perLane, clock });
    const operations = new Map([...pools].map(([name, { scope }]) => [name, scope.operations]));
    await onRecord(operations, letters, command, async () => replay(replayer, letters, command));
  };
  await withStore(command.table, replayAll, () => clock());
}

/** Does the work between two lines of the record of each pool that has some of the letters. */
async function onRecord(
  operations: ReadonlyMap<string, Operations>,
  letters: readonly LetterRef[],
  { by = accountHere() }: ReplayCommand,
  work: () => Promise<void>,
): Promise<void> {
  let recorded = work;
  for (const [pool, theirs] of Map.groupBy(letters, (letter) => letter.pool)) {
    const record = operations.get(pool);
    // Of a pool that has left the pools file nothing is replayed.
    if (record === undefined) continue;
    const what = theirs.length === 1 ? `dead letter ${theirs[0]?.id}` : `${theirs.length} dead letters`;
    const inner = recorded;
    recorded = async () =>
      record.record(pool, { by, from: accountHere(), action: `replay of ${what}` }, inner);
  }
  await recorded();
}

async function replay(
  replayer: Replayer,
  letters: readonly LetterRef[],
  { json, by }: ReplayCommand,
): Promise<void> {
  const counts: Record<string, number> = {};
  // The first interrupt ends the run between two letters.
  const stop = new AbortController();
  process.once("SIGINT", () => stop.abort());
  await replayer.run(letters, {
    by: actorHere(by),
    signal: stop.signal,
    onResult: (result) => {
      const outcome = result.outcome === "refused" ? result.reason : result.outcome;
      counts[outcome] = (counts[outcome] ?? 0) + 1;
      if (!json) print(`${printable(result.id)}  ${outcome}`);
    },
    onTrouble: (error) => tell(`waiting: ${printable(error)}`),
  });
  // Only what this run replays is counted as its letters: of runs at the same time, each letter is one run's.
  const replayed = (counts["queued"] ?? 0) + (counts["claimed"] ?? 0);
  if (json) printJson({ letters: replayed, ...counts });
  else print(`${replayed} of ${letters.length} ${letters.length === 1 ? "letter" : "letters"} replayed`);
  if ((counts["queued"] ?? 0) < letters.length) process.exitCode = 1;
}

/** @param until letters that die later are not meant, above all not those that this replay lets die again. */
async function selectLetters(
  store: DeadLetterStore,
  ids: readonly string[],
  command: ReplayCommand,
  until: number,
): Promise<readonly LetterRef[]> {
  if (ids.length > 0) return distinct(await Promise.all(ids.map(async (id) => refOf(store, id))));
  const { class: errorClass, lane, tenant, all } = command;
  if (errorClass === undefined && lane === undefined && tenant === undefined && !all) {
    throw new Error("Expected ids, or one of --class, --lane, --tenant and --all");
  }
  const groups = await groupsOf(store, { ...command, state: "dead" });
  const letters: LetterRef[] = [];
  let cursor: string | undefined;
  do {
    const from = cursor === undefined ? {} : { cursor };
    const page = await searchLetters(store, { groups, states: ["dead"], until, limit: 100, ...from });
    letters.push(...page.items);
    ({ cursor } = page);
  } while (cursor !== undefined && letters.length < MOST);
  const refs = letters.map(({ id, jobId, pool, lane: name, replays }) => {
    return { id, jobId, pool, lane: name, replays };
  });
  return distinct(refs).slice(0, MOST);
}

async function refOf(store: DeadLetterStore, id: string): Promise<LetterRef> {
  const letter = await store.look(id);
  if (letter === undefined) throw new Error(`There is no dead letter '${recordId(id)}'`);
  const { jobId, pool, lane, replays } = letter;
  return { id: letter.id, jobId, pool, lane, replays };
}
