/** Real documents to summarise: the README files of installed packages, with a real distribution of lengths. */
import type { Dirent } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

export interface Document {
  /** The package it describes. */
  readonly title: string;
  readonly text: string;
}

/** Shorter files are signposts to somewhere else. */
const SHORTEST = 300;
/** About 45,000 tokens: longer ones are whole manuals. */
const LONGEST = 180_000;

/** The README files of the packages under a `node_modules` folder, each text once, in a stable order. */
export async function findDocuments(nodeModules: string): Promise<Document[]> {
  const byText = new Map<string, Document>();
  for (const folder of await packageFolders(nodeModules)) {
    const readme = (await list(folder)).find(
      (entry) => entry.isFile() && /^readme\.(md|markdown)$/i.test(entry.name),
    );
    if (readme === undefined) continue;
    const text = (await readFile(join(folder, readme.name), "utf8")).trim();
    if (text.length < SHORTEST || text.length > LONGEST || byText.has(text)) continue;
    byText.set(text, { title: folder.split(/[\\/]node_modules[\\/]/).at(-1) ?? folder, text });
  }
  return [...byText.values()].toSorted((a, b) => (a.title < b.title ? -1 : 1));
}

/** Package folders, scoped ones and those in pnpm's virtual store included. */
async function packageFolders(nodeModules: string): Promise<string[]> {
  const found: string[] = [];
  for (const entry of await list(nodeModules)) {
    const path = join(nodeModules, entry.name);
    if (entry.name === ".pnpm") {
      for (const stored of await list(path)) {
        if (stored.isDirectory())
          found.push(...(await packageFolders(join(path, stored.name, "node_modules"))));
      }
    } else if (entry.name.startsWith("@") && entry.isDirectory()) {
      for (const scoped of await list(path)) if (scoped.isDirectory()) found.push(join(path, scoped.name));
    } else if (entry.isDirectory() && !entry.name.startsWith(".")) {
      found.push(path);
    }
  }
  return found;
}

async function list(folder: string): Promise<Dirent[]> {
  return readdir(folder, { withFileTypes: true }).catch(() => []);
}
