/**
 * Runs a program of this workspace from its source, or says which Node that takes: an older one would end with an error
 * of its loader. Plain JavaScript, since such a Node reads nothing else.
 *   node --conditions=@sluice/source start.mjs apps/api/src/main.ts [arguments]
 */
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [, , program = ""] = process.argv;
if (!process.features.typescript) {
  process.stderr.write(
    `${program} is TypeScript, which Node ${process.versions.node} does not run: use Node 24.12 or newer. ` +
      "`npx -y pnpm@12 install` brings the one of this workspace, and its scripts use it\n",
  );
  process.exit(1);
}
// As if it had been started by itself.
process.argv.splice(1, 2, resolve(program));
await import(pathToFileURL(resolve(program)).href);
