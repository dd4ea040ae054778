/** `sluice dead-letters list` and `show`: letters from a terminal, without their prompts unless asked for. */
import {
  searchLetters,
  type DeadLetterState,
  type DeadLetterStore,
  type Grouping,
  type Letter,
} from "@sluice/dead-letter";
import { openLetters } from "@sluice/installation/letters";
import { decodePayload } from "@sluice/job/payload";
import { checkStoreEnv } from "./store-env.ts";
import { openDeployment } from "./deployment.ts";
import { accountHere } from "./operator.ts";
import { print, printable, printJson } from "./terminal.ts";

/** Which letters, as the options say it. Without a class, lane or tenant: all classes. */
export interface LetterSelection {
  readonly table: string;
  readonly state: DeadLetterState;
  readonly class?: string;
  readonly lane?: string;
  readonly tenant?: string;
}

export interface ListOptions extends LetterSelection {
  readonly limit: number;
  readonly cursor?: string;
  readonly json: boolean;
}

export async function listDeadLetters({ limit, cursor, json, ...selection }: ListOptions): Promise<void> {
  await withStore(selection.table, async (store) => {
    const groups = await groupsOf(store, selection);
    const from = cursor === undefined ? {} : { cursor };
    const page = await searchLetters(store, { groups, states: [selection.state], limit, ...from });
    if (json) {
      printJson(page);
      return;
    }
    for (const letter of page.items) print(lineOf(letter));
    for (const id of page.unreadable ?? []) print(`${printable(id)}  cannot be read by this version`);
    print(pageEnd(page));
  });
}

/**
 * With `prompt` the look is on record with the letter's pool, and there is none while Redis does not take the record.
 * @throws Error when there is no such letter.
 */
export async function showDeadLetter(
  id: string,
  { table, prompt }: { readonly table: string; readonly prompt: boolean },
): Promise<void> {
  await withStore(table, async (store) => {
    const found = await store.get(id);
    if (found === undefined) throw new Error(`There is no dead letter '${id}' in table '${table}'`);
    if (prompt) await recordLook(found.pool, found.id);
    const { data, ...letter } = found;
    const { payload, ...job } = data;
    const stored = prompt
      ? { request: await decodePayload(payload) }
      : { prompt: "hidden; --prompt shows it" };
    printJson({ ...letter, job: { ...job, ...stored } }, 2);
  });
}

async function recordLook(poolName: string, id: string): Promise<void> {
  await using deployment = await openDeployment();
  // A pool that has left the pools file has its record beside another one's.
  const pool = deployment.pools.find(({ name }) => name === poolName) ?? deployment.pools[0];
  if (pool === undefined) throw new Error("Expected the pools file to have a pool");
  const act = { by: accountHere(), from: accountHere(), action: `read the prompt of dead letter ${id}` };
  await deployment.operations(pool).record(poolName, act, async () => {});
}

/**
 * The store while `work` uses it.
 * @param clock the time of what is written. Default: the machine's.
 */
export async function withStore(
  table: string,
  work: (store: DeadLetterStore) => Promise<void>,
  clock: () => number = Date.now,
): Promise<void> {
  checkStoreEnv();
  const store = openLetters({ table, clock });
  try {
    await work(store);
  } finally {
    store.close();
  }
}

/** @throws Error when more than one of class, lane and tenant was given, or a lane is none. */
export async function groupsOf(store: DeadLetterStore, selection: LetterSelection): Promise<Grouping[]> {
  const { class: errorClass, lane, tenant } = selection;
  const given = [errorClass, lane, tenant].filter((value) => value !== undefined);
  if (given.length > 1) throw new Error("Expected one of --class, --lane and --tenant, got several");
  if (errorClass !== undefined) return [{ errorClass }];
  if (tenant !== undefined) return [{ tenant }];
  if (lane === undefined) return (await store.classes()).map((each) => ({ errorClass: each }));
  const [pool = "", name = "", ...more] = lane.split(".");
  if (pool === "" || name === "" || more.length > 0) {
    throw new Error(`Expected --lane to be <pool>.<lane>, got '${lane}'`);
  }
  return [{ lane: { pool, lane: name } }];
}

/** The last line of a list: how many letters stand above it, and how to get the next ones. */
export function pageEnd({
  items,
  unreadable = [],
  cursor,
}: Awaited<ReturnType<typeof searchLetters>>): string {
  const all = count(items.length + unreadable.length);
  const told = unreadable.length === 0 ? all : `${all}, ${unreadable.length} of them not readable`;
  return cursor === undefined ? told : `${told}; go on with --cursor '${printable(cursor)}'`;
}

function count(letters: number): string {
  return `${letters} ${letters === 1 ? "letter" : "letters"}`;
}

function lineOf({ diedAt, id, tenant, state, deaths, failure }: Letter): string {
  const died = new Date(diedAt).toISOString();
  const reason = `${failure.errorClass}: ${failure.message}`;
  return [died, id, tenant, state, `deaths ${deaths}`, reason].map(printable).join("  ");
}
