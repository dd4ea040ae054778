/** Who acts by this command, for those who wonder later. */
import { hostname, userInfo } from "node:os";
import { InvalidArgumentError } from "commander";

/** The account and the machine: what the one who acts cannot choose to say. */
export function accountHere(): string {
  return `${userInfo().username}@${hostname()}`;
}

/** Who acts, for a record that has one name for it: who he says he is, and in any case the account and the machine. */
export function actorHere(by: string | undefined): string {
  return by === undefined ? `cli:${accountHere()}` : `cli:${by} (${accountHere()})`.slice(0, LONGEST_ACTOR);
}

/** As long as a letter's history has names, UTF-16 code units. */
const LONGEST_ACTOR = 200;

/** Reads `--by`. @throws InvalidArgumentError for what is no name, or would turn a terminal that shows it. */
export function parseActor(text: string): string {
  if (/^[^\p{Cc}\p{Bidi_Control}]{1,100}$/u.test(text)) return text;
  throw new InvalidArgumentError("Expected a name of 1 to 100 characters, without control characters.");
}
