/** Which Node the programs need, said in a sentence: an older one fails somewhere in the middle of its work. */

/** As in the `engines` of every package. */
const OLDEST = [22, 12] as const;

/** @throws Error when this Node is too old. */
export function assertNode(version: string = process.versions.node): void {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const [oldestMajor, oldestMinor] = OLDEST;
  if (major > oldestMajor || (major === oldestMajor && minor >= oldestMinor)) return;
  throw new Error(
    `This needs Node ${OLDEST.join(".")} or newer, and this is ${version}. In the workspace, \`npx -y pnpm@12 <program>\` ` +
      "brings its own",
  );
}
