/** What a version to come has written: left to its programs, said so, and taken up when somebody can read it. */
import { PROGRAMS } from "../../programs.ts";
import { DynamoDBClient, UpdateItemCommand } from "@aws-sdk/client-dynamodb";
import { poolKeys } from "@sluice/limits";
import type { Started } from "../../process.ts";
import { must, type Trial, type TrialCase } from "../../trials/trial.ts";
import { hears, told, until, type Fleet } from "../fleet.ts";
import { askFor, boardQueue, post, tryPost } from "../http.ts";
import { LANE, POOL } from "../pools.ts";
import type { Site } from "../site.ts";

const NEXT = 2;
/** A job that was handed back comes again after 2 s, then ever more rarely. */
const AGAIN_MS = 30_000;

const deferred = (worker: Started, id: string): number =>
  told(worker, "job:deferred", { id, reason: "newer-version" }).length;

/** Records of one waiting job each that the next version wrote; `set` writes the version. */
interface OfJob {
  readonly what: string;
  readonly set: (fleet: Fleet, id: string, version: number) => Promise<unknown>;
}

const OF_JOBS: readonly OfJob[] = [
  {
    what: "data",
    set: async ({ redis, jobKey }, id, version) => {
      const data = JSON.parse((await redis.hget(jobKey(id), "data")) ?? "");
      return redis.hset(jobKey(id), "data", JSON.stringify({ ...data, version }));
    },
  },
  {
    what: "notes",
    set: async ({ redis, jobKey }, id, version) => {
      const notes = { failures: 0, throttles: 0, apart: false, entry: 0, failedAt: 0, systemicDeferrals: 0 };
      return redis.hset(jobKey(id), "sluice:notes", JSON.stringify({ version, ...notes }), "ats", 1);
    },
  },
  {
    what: "call ledger",
    set: async ({ redis, space }, id, version) =>
      redis.hset(`${space}:ledger:${id}`, { version, calls: 0, lost: 0 }),
  },
  {
    what: "outcome",
    set: async ({ redis, space }, id, version) => {
      const answer = { text: "of another version", stopReason: "end_turn", model: "m", usage, latencyMs: 1 };
      const end = {
        outcome: "completed",
        id,
        tenant: "default",
        acceptedAt: 1,
        endedAt: Date.now(),
        attempts: 0,
      };
      return redis.set(`${space}:outcome:${id}`, JSON.stringify({ version, ...end, answer }));
    },
  },
];
const usage = { inputTokens: 1, outputTokens: 1 };

const ofJobs: Trial<Site> = {
  name: "records of jobs",
  holds:
    "Data, notes, ledger and outcome of the next version: handed back at no cost and told of, no call, no letter; taken up when they can be read",
  run: async (site) => {
    await using fleet = await site.fleet();
    const [api, board] = await Promise.all([fleet.listener("api"), fleet.listener("board")]);
    const ids = await fleet.add(OF_JOBS.map(() => ({})));
    const others = await fleet.add(Array.from({ length: 40 }, () => ({})));
    for (const [index, { set }] of OF_JOBS.entries()) await set(fleet, ids[index] ?? "", NEXT);
    const worker = await fleet.worker();
    const othersMs = await fleet.untilAll("completed", others);
    for (const [index, { what }] of OF_JOBS.entries()) {
      const id = ids[index] ?? "";
      await until(
        `${what} is handed back twice`,
        () => deferred(worker, id),
        (count) => count >= 2,
        AGAIN_MS,
      );
      await hears(worker, "version:newer", { what, version: NEXT });
      must(told(worker, "version:newer", { what }).length === 1, `${what} is told of more than once`);
    }
    const explained = JSON.stringify((await askFor(`${api.url}/v1/jobs/${ids[0] ?? ""}/explain`)).body);
    must(explained.includes("newer-version"), `explain says: ${explained}`);
    const { status } = await askFor(`${api.url}/v1/jobs/${ids.at(-1) ?? ""}`);
    must(status === 503, `a job whose outcome is of the next version is answered ${status}`);
    const lane = await boardQueue(board.url, `${POOL}.${LANE}`, "delayed");
    const shown = new Set(lane?.jobs.map(({ id }) => id));
    must(
      ids.some((id) => shown.has(id)),
      "the board shows none of them",
    );
    const calls = [...(await fleet.calls(ids)).values()].flat();
    must(calls.length === 0, `${calls.length} calls were made for them`);
    for (const id of ids) must((await fleet.letters.look(id)) === undefined, `${id} is a dead letter`);

    for (const [index, { set }] of OF_JOBS.entries()) await set(fleet, ids[index] ?? "", 1);
    const takenUpMs = await fleet.untilAll("completed", ids);
    const made = [...(await fleet.calls(ids)).values()].map(({ length }) => length);
    // The one that has an outcome is not called.
    must(JSON.stringify(made) === "[1,1,1,0]", `calls were ${JSON.stringify(made)}`);
    return { othersMs, takenUpMs };
  },
};

const keyOfCaller: Trial<Site> = {
  name: "an idempotency key",
  holds:
    "A key that the next version has bound is answered 503 newer-version, and leads to its job when it can be read",
  run: async (site) => {
    await using fleet = await site.fleet();
    const api = await fleet.listener("api");
    const job = { prompt: "once", idempotencyKey: "of the next version", maxTokens: 20 };
    const { id } = await post(api.url, job);
    const [claim = ""] = await fleet.redis.keys(`${fleet.space}:claim:*`);
    await fleet.redis.hset(claim, "version", NEXT);
    const refused = await tryPost(api.url, job);
    must(refused.status === 503, `it is answered ${refused.status}`);
    must(JSON.stringify(refused.body).includes("newer-version"), `it says ${JSON.stringify(refused.body)}`);
    const { waiting } = await fleet.installation.records.counts();
    must(waiting === 1, `${waiting} jobs wait`);
    await fleet.redis.hset(claim, "version", 1);
    must((await post(api.url, job)).id === id, "it leads to another job");
  },
};

const letter: Trial<Site> = {
  name: "a dead letter",
  holds:
    "A letter of the next version is named as such, not replayed and not purged; its replay runs when it can be read",
  run: async (site) => {
    await using fleet = await site.fleet();
    const [worker, board] = await Promise.all([fleet.worker(), fleet.listener("board")]);
    const [id = ""] = await fleet.add([{ text: "[[sim:ValidationException*1]]" }]);
    await fleet.untilAll("dead", [id]);
    await until(
      "there is a letter",
      async () => fleet.letters.look(id),
      (found) => found !== undefined,
    );
    await setLetterVersion(site, fleet, id, NEXT);
    const claimed = await fleet.letters.claim(id, { by: "ann", replays: 0, leaseMs: 1 }).then(
      ({ outcome }) => outcome,
      (error: unknown) => String(error),
    );
    must(claimed !== "done", `it was claimed: ${claimed}`);
    const purged = await fleet.letters.purge(id, { revision: "" }).then(
      ({ outcome }) => outcome,
      (error: unknown) => String(error),
    );
    must(purged !== "done", `it was purged: ${purged}`);
    const by = { errorClass: "ValidationException" };
    const { unreadable = [] } = await fleet.letters.list({ state: "dead", by, limit: 10 });
    must(unreadable.includes(id), `the list names ${JSON.stringify(unreadable)}`);
    await until(
      "the board's search names it",
      async () => (await fetch(`${board.url}/dead-letters`)).text(),
      (page) => page.includes(`This version cannot read`) && page.includes(id),
    );
    await setLetterVersion(site, fleet, id, 1);
    await fleet.letters.claim(id, { by: "ann", replays: 0, leaseMs: 1 });
    await fleet.untilAll("completed", [`${id}.r1`]);
    must(worker.running, "the worker has ended");
  },
};

async function setLetterVersion(
  { services }: Site,
  fleet: Fleet,
  id: string,
  version: number,
): Promise<void> {
  const client = new DynamoDBClient({
    endpoint: services.dynamoDbUrl,
    region: "us-east-1",
    credentials: { accessKeyId: "local", secretAccessKey: "local" },
  });
  await client.send(
    new UpdateItemCommand({
      TableName: fleet.installation.env["SLUICE_DEAD_LETTER_TABLE"],
      Key: { id: { S: id }, item: { S: "letter" } },
      UpdateExpression: "SET #version = :version",
      ExpressionAttributeNames: { "#version": "version" },
      ExpressionAttributeValues: { ":version": { N: String(version) } },
    }),
  );
  client.destroy();
}

const limits: Trial<Site> = {
  name: "limits of a pool",
  holds:
    "Limits that only the next version can work with: nothing is admitted, said so, nobody rewrites them, no job dies; answered when they can be read",
  run: async (site) => {
    await using fleet = await site.fleet();
    const worker = await fleet.worker();
    const before = await fleet.add(Array.from({ length: 5 }, () => ({})));
    await fleet.untilAll("completed", before);
    const { limits: key } = poolKeys(fleet.space, POOL);
    const parameters = await fleet.redis.hgetBuffer(key, "parameters");
    await fleet.redis.eval(NEXT_FORM, 1, key);
    const ids = await fleet.add(Array.from({ length: 20 }, () => ({ deadlineMs: 60_000 })));
    // One that starts now ends with a sentence; the one that runs says it, and waits.
    const started = await fleet.program(PROGRAMS.worker);
    const { code } = await started.exit;
    must(code === 1 && SAID.test(started.text), `one that starts now ends with ${code}: ${started.text}`);
    await until(
      "the one that runs says so",
      () => worker.text,
      (text) => SAID.test(text),
    );
    must(worker.running, "the one that runs has ended");
    const ends = await fleet.ends(ids);
    must(
      ends.every((end) => end === "waiting"),
      `they ended: ${JSON.stringify(ends)}`,
    );
    const form = await fleet.redis.eval(FORM, 1, key);
    must(form === 99, `the limits are of form ${String(form)} now`);
    await fleet.redis.hset(key, "parameters", parameters ?? "");
    return { takenUpMs: await fleet.untilAll("completed", ids) };
  },
};

const SAID = /A newer version of Sluice wrote the limits of pool 'claude'/;

/** As a version writes them that has raised the form, and says that nobody before it can work with them. */
const NEXT_FORM = `
  local parameters = cmsgpack.unpack(redis.call('HGET', KEYS[1], 'parameters'))
  parameters.form, parameters.since = 99, 99
  redis.call('HSET', KEYS[1], 'parameters', cmsgpack.pack(parameters))`;
const FORM = `return cmsgpack.unpack(redis.call('HGET', KEYS[1], 'parameters')).form`;

export const newer: TrialCase<Site> = {
  name: "newer",
  trials: [ofJobs, keyOfCaller, letter, limits],
};
