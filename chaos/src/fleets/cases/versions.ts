/** Programs of this version and of the one before side by side, as a deploy has them, there and back. */
import { PROGRAMS } from "../../programs.ts";
import type { SeenCall } from "../../evidence.ts";
import { FORMER_COMMIT, hasFormerVersion } from "../../former-version.ts";
import type { Started } from "../../process.ts";
import { must, type Measured, type Trial, type TrialCase } from "../../trials/trial.ts";
import { told, until, type Fleet, type Listener } from "../fleet.ts";
import { askFor, post } from "../http.ts";
import { ASYNC_POOL, LANES, OUTPUT, poolsFile, POOL, SLOW_POOL } from "../pools.ts";
import type { Site } from "../site.ts";

/** Calls that a worker has in flight at most: what its end may cut. */
const SLOTS = 8;
/** Jobs of each wave; there are three. */
const WAVE = 72;

const POOLS = poolsFile({
  [POOL]: { slots: SLOTS },
  [SLOW_POOL]: { slots: SLOTS },
  [ASYNC_POOL]: { slots: SLOTS },
});

/** Bodies of every kind, in every lane. */
function wave(name: string): object[] {
  return Array.from({ length: WAVE }, (_, index) => {
    const [text, lane] = [`${name} ${index}`, LANES[index % LANES.length]];
    const key = { lane, idempotencyKey: text, deadlineMs: 100_000 };
    const kinds = [
      { ...key, prompt: text, maxTokens: 20 },
      { ...key, kind: "stream", pool: SLOW_POOL, prompt: text, maxTokens: 20 },
      {
        ...key,
        kind: "invoke",
        body: {
          anthropic_version: "bedrock-2023-05-31",
          max_tokens: 20,
          messages: [{ role: "user", content: text }],
        },
        maxTokens: 20,
      },
      { ...key, kind: "async", pool: ASYNC_POOL, modelInput: { text }, outputS3Uri: OUTPUT },
      { ...key, prompt: text, maxTokens: 20, delayMs: 3_000 },
      { ...key, pool: SLOW_POOL, prompt: `[[sim:ServiceUnavailableException*1]] ${text}`, maxTokens: 20 },
    ];
    return kinds[index % kinds.length] ?? {};
  });
}

async function postAll(apis: readonly Listener[], jobs: readonly object[]): Promise<string[]> {
  const accepted = await Promise.all(
    jobs.map(async (job, index) => post(apis[index % apis.length]?.url ?? "", job)),
  );
  return accepted.map(({ id }) => id);
}

const programsOf = async (site: Site, which: Side): Promise<Readonly<Record<"worker" | "api", URL>>> => {
  if (which === "this") return PROGRAMS;
  const former = await site.former();
  return { worker: former.app("worker"), api: former.app("api") };
};

type Side = "former" | "this";

/** Replaces workers and the API of one version by those of the other while jobs come in and run. */
async function deploy(site: Site, from: Side, to: Side): Promise<Measured> {
  await using fleet = await site.fleet({ pools: POOLS, locks: "shipped" });
  const [before, after] = await Promise.all([programsOf(site, from), programsOf(site, to)]);
  const [first, second, api] = await Promise.all([
    fleet.worker({}, before.worker),
    fleet.worker({}, before.worker),
    fleet.listener("api", {}, before.api),
  ]);
  const waves = { one: wave("one"), two: wave("two"), three: wave("three") };
  const ids = await postAll([api], waves.one);
  // One comes before one goes; the second is killed, as a deploy may do to what does not leave in time.
  const replaced = await fleet.worker({}, after.worker);
  first.kill("SIGTERM");
  const otherApi = await fleet.listener("api", {}, after.api);
  ids.push(...(await postAll([api, otherApi], waves.two)));
  await until(
    "the one that is to be killed has calls",
    async () => inFlight(second),
    (calls) => calls > 0,
  );
  second.kill("SIGKILL");
  await Promise.all([first.exit, second.exit]);
  const last = await fleet.worker({}, after.worker);
  api.process.kill("SIGTERM");
  await api.process.exit;
  ids.push(...(await postAll([otherApi], waves.three)));
  const drainedMs = await fleet.untilAll("completed", ids, 100_000);
  await everyKeyIsKnown(otherApi, waves, ids);
  const ran = [first, second, replaced, last].map((worker) => told(worker, "job:completed").length);
  must(ran[0] !== 0 && (ran[2] ?? 0) + (ran[3] ?? 0) > 0, `the workers answered ${JSON.stringify(ran)} jobs`);
  return { jobs: ids.length, drainedMs, ...(await paid(fleet, ids)) };
}

/** Calls that a worker has begun and not ended, as far as it has said so. */
function inFlight(worker: Started): number {
  const ids = (msg: string): string[] => told(worker, msg).map(({ id }) => String(id));
  const ended = new Set(["job:completed", "job:retry", "job:started"].flatMap(ids));
  return ids("job:granted").filter((id) => !ended.has(id)).length;
}

/** Which API ever took a job: the other knows it by its key, and by its id. */
async function everyKeyIsKnown(
  api: Listener,
  waves: Readonly<Record<string, object[]>>,
  ids: readonly string[],
) {
  const again = await postAll([api], Object.values(waves).flat());
  const others = again.filter((id, index) => id !== ids[index]);
  must(others.length === 0, `${others.length} keys made other jobs`);
  for (const id of ids.slice(0, 10)) {
    const { status } = await askFor(`${api.url}/v1/jobs/${id}`);
    must(status === 200, `the API answers ${status} for a job of the other`);
  }
}

/** One answer for each job, and no call after it was stored. Calls cut by the kill are made again. */
async function paid(fleet: Fleet, ids: readonly string[]): Promise<Measured> {
  const calls = await fleet.calls(ids);
  const answeredTwice = [...calls.values()].filter((of) => answers(of) > 1).length;
  // An answer that the killed worker had, and had not stored.
  must(answeredTwice <= SLOTS, `${answeredTwice} jobs were answered twice`);
  const outcomes = await Promise.all(ids.map(async (id) => fleet.installation.records.outcome(id)));
  const after = outcomes.filter((outcome) =>
    (calls.get(outcome?.id ?? "") ?? []).some(({ startedAt }) => startedAt > (outcome?.endedAt ?? 0)),
  );
  must(after.length === 0, `${after.length} jobs were called after their answer was stored`);
  const calledAgain = [...calls.values()].filter(
    (of) => of.filter(({ fault }) => fault === null).length > 1,
  ).length;
  return { answeredTwice, calledAgain };
}

/** Answers of a job that were paid for. An async call that is made again has the token of the first, and is the same. */
function answers(calls: readonly SeenCall[]): number {
  const answered = calls.filter(({ outcome }) => outcome === "completed");
  return Math.min(
    answered.length,
    answered.some(({ operation }) => operation === "StartAsyncInvoke") ? 1 : Infinity,
  );
}

const forth: Trial<Site> = {
  name: "forth",
  holds: `${WAVE * 3} jobs of all kinds over a deploy from the version before, one old worker told to leave and one killed: each is answered, once`,
  run: async (site) => deploy(site, "former", "this"),
};

const backAgain: Trial<Site> = {
  name: "and back",
  holds: `The same the other way round: what this version has written, the one before answers`,
  run: async (site) => deploy(site, "this", "former"),
};

const without: Trial<Site> = {
  name: `not tried: this clone has no commit ${FORMER_COMMIT}`,
  holds: "A deploy from the version before, and back, costs no job",
  run: async () => ({ notTried: 1 }),
};

export const versions = (): TrialCase<Site> => ({
  name: "versions",
  trials: hasFormerVersion() ? [forth, backAgain] : [without],
});
