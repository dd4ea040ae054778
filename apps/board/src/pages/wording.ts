/**
 * Bull Board's own words, but for those that would mislead here: where it has no figures it tells people to change their
 * workers, which count in any case, while dead letters are not counted by the minute at all.
 */
import { readFile } from "node:fs/promises";
import type { RequestHandler } from "express";
import { z } from "zod";

const EMPTY =
  "Nothing has been counted here in the last hours. A lane's jobs are counted by its workers, dead letters are not counted by the minute.";

const wordsSchema = z.looseObject({ METRICS: z.looseObject({ EMPTY: z.string() }) });

/** Answers for the file of one language. Languages that Bull Board does not have are its own to refuse. */
export const wording: RequestHandler<{ language: string }> = async (request, response, next) => {
  const { language } = request.params;
  if (!/^[a-z]{2}-[A-Z]{2}$/.test(language)) {
    next();
    return;
  }
  const file = new URL(`dist/static/locales/${language}/messages.json`, UI);
  const words = await readFile(file, "utf8").then(
    (text) => wordsSchema.parse(JSON.parse(text)),
    () => undefined,
  );
  if (words === undefined) next();
  else response.json({ ...words, METRICS: { ...words.METRICS, EMPTY } });
};

const UI = import.meta.resolve("@bull-board/ui/package.json");
