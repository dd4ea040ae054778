/** One click on "replay", and what to tell whoever clicked. */
import type { LetterRef, Replayer } from "@sluice/drain";
import { Refused, refusedChange } from "../refusal.ts";

/**
 * Resolves when the letter is being replayed, also by somebody who was faster: exactly one of many clicks starts it, and
 * the others were as good.
 * @throws Refused when it is not, with the reason.
 */
export async function replayOne(replayer: Replayer, letter: LetterRef, by: string): Promise<void> {
  const result = await replayer.one(letter, by);
  if (result.outcome === "queued") return;
  if (result.outcome === "claimed") {
    throw new Refused(503, "Redis does not answer. The replay is claimed and will start once Redis is back");
  }
  const lane = `${letter.pool}.${letter.lane}`;
  switch (result.reason) {
    case "state":
    case "changed":
      return;
    case "lane-busy":
      throw new Refused(409, `Lane ${lane} holds as many replays as it may. Replay it a little later`);
    case "answered":
      throw new Refused(409, "The job was answered after all, and its letter is resolved");
    case "under-way":
      throw new Refused(409, "The job is under way again: Redis had lost its death. See what becomes of it");
    case "no-lane":
      throw new Refused(409, `The pools file has no lane ${lane} any more`);
    case "not-found":
    case "unreadable":
      throw refusedChange(result.reason);
  }
}
