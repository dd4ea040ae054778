/** Extractive summary: the sentences whose words the document repeats most, in the order of the document. */

/** Beyond this a document's own beginning stands for the rest: scoring must stay cheap. */
const CHARACTERS_READ = 48_000;
const INSTRUCTION = /\bsummar(?:y|i[sz]e|i[sz]ing)\b/i;
/** A prompt may quote a document that mentions summaries; the wish stands at either end. */
const INSTRUCTION_WITHIN = 400;

/** Whether the prompt asks for a summary. */
export function asksForSummary(prompt: string): boolean {
  return (
    INSTRUCTION.test(prompt.slice(0, INSTRUCTION_WITHIN)) ||
    INSTRUCTION.test(prompt.slice(-INSTRUCTION_WITHIN))
  );
}

/** A summary of about `characters`, at least one sentence. Empty when the prompt holds no sentence. */
export function summarise(prompt: string, characters: number): string {
  const sentences = splitSentences(prompt.slice(0, CHARACTERS_READ));
  const frequency = countWords(sentences);
  const ranked = sentences
    .map((sentence, position) => ({ sentence, position, score: score(sentence, position, frequency) }))
    .toSorted((left, right) => right.score - left.score);
  const picked: typeof ranked = [];
  let length = 0;
  for (const candidate of ranked) {
    if (length >= characters) break;
    picked.push(candidate);
    length += candidate.sentence.length + 1;
  }
  return picked
    .toSorted((left, right) => left.position - right.position)
    .map(({ sentence }) => sentence)
    .join(" ");
}

/** Prose only: no code, badges, tables, headings or link targets, and not the wish for a summary itself. */
function splitSentences(text: string): string[] {
  const prose = text
    .replaceAll(/```[\s\S]*?(?:```|$)/g, "\n")
    .replaceAll(/<[^>]{1,400}>/g, " ")
    .replaceAll(/!\[[^\]]{0,400}\]\([^)]{0,400}\)/g, " ")
    .replaceAll(/\[([^\]]{1,400})\]\([^)]{0,400}\)/g, "$1")
    .replaceAll(/[`*_]/g, "");
  const seen = new Set<string>();
  for (const paragraph of prose.split(/\n\s*\n|\n(?=\s*[-#|>\d])/)) {
    if (/^\s*[#|]/.test(paragraph)) continue;
    for (const sentence of paragraph.replaceAll(/\s+/g, " ").split(/(?<=[.!?])\s+(?=[A-Z])/)) {
      const trimmed = sentence.replace(/^[-\s>]+/, "").trim();
      const isProse = trimmed.length >= 25 && trimmed.length <= 400 && /\s\S+\s/.test(trimmed);
      if (isProse && !INSTRUCTION.test(trimmed)) seen.add(trimmed);
    }
  }
  return [...seen];
}

function wordsOf(sentence: string): string[] {
  return sentence.toLowerCase().match(/\p{L}{4,}/gu) ?? [];
}

function countWords(sentences: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const word of sentences.flatMap(wordsOf)) counts.set(word, (counts.get(word) ?? 0) + 1);
  return counts;
}

/** Mean frequency of the sentence's words; the first sentences of a document usually say what it is about. */
function score(sentence: string, position: number, frequency: ReadonlyMap<string, number>): number {
  const words = wordsOf(sentence);
  if (words.length === 0) return 0;
  const total = words.reduce((sum, word) => sum + (frequency.get(word) ?? 0), 0);
  return (total / words.length) * (position < 3 ? 2 : 1);
}
