/** Prose about the prompt's own words, for prompts that ask for anything but a summary. */
import type { Random } from "../random.ts";

/** Topics are taken from the beginning: a long prompt costs no more than a short one. */
const CHARACTERS_READ = 4_000;

const SENTENCES = [
  "The question of {a} turns on {b}.",
  "Start with {a}, because {b} depends on it.",
  "Where {a} and {b} meet, prefer the simpler reading.",
  "In practice {a} matters less than it seems, and {b} matters more.",
  "One can treat {a} as given and look at {b} on its own.",
  "Nothing here rules out {a}, but {b} deserves a closer look.",
  "Taken together, {a} and {b} point the same way.",
  "It helps to write {a} down first and to check {b} against it.",
] as const;

/** For a prompt with hardly a word in it. */
const OTHERWISE = ["the first point", "the second point"];

/** Whole sentences of at least `characters` in all. */
export function writeProse(prompt: string, characters: number, random: Random): string {
  const words = prompt.slice(0, CHARACTERS_READ).match(/\p{L}{4,}/gu) ?? [];
  const topics = new Set([...words.map((word) => word.toLowerCase()), ...OTHERWISE]);
  const subjects = [...topics].slice(0, Math.max(2, topics.size - OTHERWISE.length));
  let text = "";
  while (text.length < characters) {
    const first = Math.floor(random() * subjects.length);
    // Any but the first one, so that no sentence weighs a thing against itself.
    const second = (first + 1 + Math.floor(random() * (subjects.length - 1))) % subjects.length;
    const sentence = (SENTENCES[Math.floor(random() * SENTENCES.length)] ?? SENTENCES[0])
      .replace("{a}", subjects[first] ?? "")
      .replace("{b}", subjects[second] ?? "");
    text += text === "" ? sentence : ` ${sentence}`;
  }
  return text;
}
