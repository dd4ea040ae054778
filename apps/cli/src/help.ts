/** How the command explains itself: what every help page has, and what a mistake is answered with. */
import { readFileSync } from "node:fs";
import { Help, type Command } from "commander";
import { z } from "zod";
import { tellParsing } from "./terminal.ts";

const AFTER = `
Commands on a deployment read SLUICE_POOLS, SLUICE_NAMESPACE and REDIS_URL as the
programs do; those on dead letters SLUICE_DEAD_LETTER_TABLE and what AWS needs.

Exit code: 0 when it is done; 1 when it is not, with the reason on standard
error; 130 when it was interrupted.`;

/** To be called before there are subcommands: they inherit it. */
export function explaining(program: Command): Command {
  return (
    program
      .version(version(), "-V, --version", "print the version")
      .configureHelp({
        // That a flag is off unless it is given needs no word.
        optionDescription: (option) => new Help().optionDescription(option).replace(" (default: false)", ""),
      })
      .addHelpText("after", AFTER)
      // It repeats what was typed.
      .configureOutput({ writeErr: tellParsing })
      // A name that is none is answered with those there are.
      .showHelpAfterError()
  );
}

function version(): string {
  const text = readFileSync(new URL("../package.json", import.meta.url), "utf8");
  return z.object({ version: z.string() }).parse(JSON.parse(text)).version;
}
