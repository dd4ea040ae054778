import * as fc from "fast-check";
import { replayId } from "@sluice/job";
import { describe, expect, it } from "vitest";
import { HISTORY_LIMIT, letterSchema, type Death, type Letter } from "../src/index.ts";
import * as transitions from "../src/transitions.ts";
import { death, HOUR, T0 } from "./given.ts";

const first = death();
const LEASE = 1_000;

/** Anything that may be asked of a letter. `replay` is the life it is about; `seen` what a reader believed. */
const commands = fc.oneof(
  fc.record({ what: fc.constant("die"), replay: fc.nat(3), minute: fc.nat(5) }),
  fc.record({ what: fc.constant("claim"), seen: fc.nat(3) }),
  fc.record({ what: fc.constant("resolve"), replay: fc.nat(3) }),
  fc.record({ what: fc.constantFrom("park", "unpark", "note", "edit") }),
);
type Command = typeof commands extends fc.Arbitrary<infer Each> ? Each : never;

function life(replay: number): string {
  return replay === 0 ? first.data.id : replayId(first.data.id, replay);
}

function deathOf(replay: number, minute: number): Death {
  return { ...first, data: { ...first.data, id: life(replay) }, diedAt: T0 + minute * 60_000 };
}

function decide(letter: Letter, command: Command, now: number): transitions.Decision {
  if ("minute" in command) return transitions.die(letter, deathOf(command.replay, command.minute), now);
  if ("seen" in command) {
    return transitions.claim(letter, { by: "ann", replays: command.seen, leaseMs: LEASE }, now);
  }
  if ("replay" in command) return transitions.resolve(letter, life(command.replay), now, HOUR);
  if (command.what === "park") return transitions.park(letter, "ann", undefined, now);
  if (command.what === "unpark") return transitions.unpark(letter, "ann", now);
  if (command.what === "note") return transitions.annotate(letter, "ann", "Hm", now);
  return transitions.edit(letter, "ann", letter.revision, now);
}

function born(): Letter {
  const decision = transitions.die(undefined, first, T0);
  if (decision.decision !== "change") throw new Error("Expected a first death to make a letter");
  return decision.letter;
}

interface Step {
  readonly before: Letter;
  readonly command: Command;
  readonly decision: transitions.Decision;
  readonly now: number;
}

/** Runs commands one after the other, `stepMs` apart; those that were refused or changed nothing are left out. */
function changes(commandsInTurn: readonly Command[], stepMs: number): (Step & { after: Letter })[] {
  const made: (Step & { after: Letter })[] = [];
  let before = born();
  for (const [position, command] of commandsInTurn.entries()) {
    const now = T0 + (position + 1) * stepMs;
    const decision = decide(before, command, now);
    if (decision.decision !== "change") continue;
    const after = decision.letter;
    made.push({ before, command, decision, now, after });
    before = after;
  }
  return made;
}

const runs = fc
  .tuple(fc.array(commands, { maxLength: 80 }), fc.constantFrom(1, LEASE / 2, LEASE * 2))
  .map(([commandsInTurn, stepMs]) => changes(commandsInTurn, stepMs));

function always(holds: (made: (Step & { after: Letter })[]) => void): void {
  fc.assert(fc.property(runs, holds));
}

describe("transitions", () => {
  it("only ever make letters that can be stored and read", () => {
    always((made) => {
      expect(made.map(({ after }) => letterSchema.parse(after))).toEqual(made.map(({ after }) => after));
    });
  });

  it("start each replay once, under an id of its own, and only from dead or parked", () => {
    always((made) => {
      const started = made.filter(({ before, after }) => after.replays !== before.replays);
      const jobIds = started.map(({ after }) => (after.state === "replaying" ? after.claim.jobId : "none"));
      expect(jobIds).toEqual(started.map((_, n) => life(n + 1)));
      const others = started.filter(({ before }) => before.state !== "dead" && before.state !== "parked");
      expect(others).toEqual([]);
    });
  });

  it("let a claim be taken over only when its lease has run out, and under the same id", () => {
    always((made) => {
      const early = made.filter(
        ({ before, after, command, now }) =>
          command.what === "claim" &&
          before.state === "replaying" &&
          after.state === "replaying" &&
          (before.claim.leaseUntil > now || before.claim.jobId !== after.claim.jobId),
      );
      expect(early).toEqual([]);
    });
  });

  it("count every death once", () => {
    always((made) => {
      for (const { before, after, command } of made) {
        const died = command.what === "die";
        expect(after.deaths - before.deaths).toBe(died ? 1 : 0);
        expect(died ? decide(after, command, T0).decision : "keep").toBe("keep");
      }
    });
  });

  it("never take a running replay from its owner because an earlier life died", () => {
    always((made) => {
      const taken = made.filter(
        ({ before, after, command }) =>
          "minute" in command &&
          before.state === "replaying" &&
          before.claim.jobId !== life(command.replay) &&
          !(after.state === "replaying" && after.claim === before.claim),
      );
      expect(taken).toEqual([]);
    });
  });

  it("never forget how a job first died, however long its history", () => {
    always((made) => {
      const { history } = made.at(-1)?.after ?? born();
      expect(history.length).toBeLessThanOrEqual(HISTORY_LIMIT);
      expect(history[0]).toMatchObject({ event: "died", jobId: first.data.id, at: T0 });
    });
  });
});
