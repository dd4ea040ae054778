/**
 * The version before this one, as programs: a recorded commit of this repository, unpacked beside it with the same
 * dependencies. A shallow clone does not have the commit.
 */
import { execFile, execFileSync } from "node:child_process";
import { cp, mkdtemp, readdir, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";

/** The last commit before records carried versions. Move it on when a release is out. */
export const FORMER_COMMIT = "c00009a";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

const run = promisify(execFile);

/** Whether this clone has the commit. */
export function hasFormerVersion(): boolean {
  try {
    execFileSync("git", ["-C", ROOT, "cat-file", "-e", `${FORMER_COMMIT}^{commit}`], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

export interface FormerVersion extends AsyncDisposable {
  /** The entry of one of its apps. */
  app(name: "api" | "worker"): URL;
}

export async function unpackFormerVersion(): Promise<FormerVersion> {
  const folder = await mkdtemp(join(tmpdir(), "sluice-former-"));
  const archive = join(folder, "former.tar");
  const tree = join(folder, "tree");
  await run("git", ["-C", ROOT, "archive", "--prefix=tree/", "-o", archive, FORMER_COMMIT]);
  await run("tar", ["-xf", archive, "-C", folder]);
  await symlink(join(ROOT, "node_modules"), join(tree, "node_modules"));
  for (const group of ["packages", "apps"]) {
    for (const name of await readdir(join(tree, group))) {
      const links = join(group, name, "node_modules");
      // Links to the packages beside it are relative, so they lead to those of the same version.
      await cp(join(ROOT, links), join(tree, links), { recursive: true, verbatimSymlinks: true });
    }
  }
  return {
    app: (name) => pathToFileURL(join(tree, "apps", name, "src/main.ts")),
    async [Symbol.asyncDispose]() {
      await rm(folder, { recursive: true, force: true });
    },
  };
}
