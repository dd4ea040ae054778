/** Who has ids of his own can guess no other. */
import { must, type AttackCase } from "../attack.ts";
import { ask, askJson } from "../http.ts";
import { LANE, POOL } from "../pools.ts";
import type { Site } from "../site.ts";

async function idsFrom(base: string, count: number): Promise<string[]> {
  const replies = await Promise.all(
    Array.from({ length: count }, async () =>
      askJson(base, "/v1/jobs", { pool: POOL, lane: LANE, prompt: "Hello" }),
    ),
  );
  return replies.map(({ text }) => /"id":"[^"]+\.([0-9a-z]{26})"/.exec(text)?.[1] ?? "");
}

/** The part of an id that is left to chance. */
function chance(ulid: string): string {
  return ulid.slice(10);
}

export const ids: AttackCase = {
  name: "ids",
  trials: [
    {
      name: "seeded",
      holds: "Two processes whose Math.random has the same seed issue different ids",
      run: async (site: Site) => {
        const starts = [0, 1].map(async () => site.start("api", {}, ["--random-seed=4711"]));
        const [first, second] = await Promise.all(starts);
        const [ours, theirs] = await Promise.all(
          [first, second].map(async (api) => idsFrom(api?.url ?? "", 6)),
        );
        const known = new Set(ours?.map(chance));
        must(known.size === 6 && !known.has(""), "no ids were issued");
        const guessed = theirs?.filter((id) => known.has(chance(id))).length ?? 0;
        must(guessed === 0, `${guessed} of 6 ids were known before`);
      },
    },
    {
      name: "neighbours",
      holds: "Ids of one millisecond are not near each other, and use all of their alphabet",
      run: async (site) => {
        const { url } = await site.api();
        const ulids = (await idsFrom(url, 300)).toSorted();
        must(new Set(ulids.map(chance)).size === 300, "two ids have the same chance part");
        const near = ulids.filter(
          (ulid, at) => at > 0 && ulid.slice(0, 22) === ulids[at - 1]?.slice(0, 22),
        ).length;
        must(near === 0, `${near} ids differ from another in their last four characters only`);
        const used = new Set(ulids.flatMap((ulid) => chance(ulid).split("")));
        must(used.size === 32, `${used.size} of 32 characters are used`);
      },
    },
    {
      name: "runs",
      holds: "The ids of replays and of lines on record are random too",
      run: async (site) => {
        const { url, process } = await site.board("local");
        const id = await site.dead({ errorClass: "IdsException" });
        await ask(url, `/dead-letters/letter/${id}/note`, {
          method: "POST",
          headers: { "content-type": "application/x-www-form-urlencoded" },
          body: "note=seen",
        });
        const line = await process.logged("a line on record", ({ msg }) => msg === "board:audit");
        const version4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
        must(version4.test(String(line["id"])), `a line on record has the id ${String(line["id"])}`);
      },
    },
  ],
};
