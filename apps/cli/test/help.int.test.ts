/** What the command says of itself, on a terminal of 80 columns. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const MAIN = fileURLToPath(new URL("../src/main.ts", import.meta.url));

async function sluice(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const argv = ["--conditions=@sluice/source", MAIN, ...args];
  return new Promise((resolve) => {
    execFile(process.execPath, argv, (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code), out, err });
    });
  });
}

const wide = (text: string): string[] => text.split("\n").filter(({ length }) => length > 81);

test("help fits, and says what it reads and how it ends", async () => {
  const { code, out } = await sluice("--help");
  expect(code).toBe(0);
  expect(out).toContain("SLUICE_POOLS");
  expect(out).toContain("Exit code: 0 when it is done; 1 when it is not");
  expect(wide(out)).toEqual([]);
});

test("an option that is none is answered with those there are", async () => {
  const { code, out, err } = await sluice("dead-letters", "list", "--nope");
  expect({ code, out }).toEqual({ code: 1, out: "" });
  expect(err).toContain("unknown option '--nope'");
  for (const option of ["--state", "--class", "--lane", "--tenant", "--limit", "--cursor", "--json"]) {
    expect(err).toContain(option);
  }
  expect(err).not.toContain("(default: false)");
  expect(wide(err)).toEqual([]);
});
