/** The packages that are meant for others: packed, installed into an empty project, and run there by plain Node. */
import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, inject, onTestFinished, test } from "vitest";
import { z } from "zod";

const ROOT = join(import.meta.dirname, "../../..");

/** The entries of each, beside the package itself. */
const USED = [
  "@sluice/job",
  "@sluice/limits",
  "@sluice/queue",
  "@sluice/simulator",
  "@sluice/installation",
  "@sluice/installation/letters",
  "@sluice/bedrock/estimate",
];

const PROGRAM = `
import { parsePools } from "@sluice/config";
import { openProducer } from "@sluice/installation";
import { newJobId, parseJobId } from "@sluice/job";
import { createMemoryLimiter } from "@sluice/limits";
import { start } from "@sluice/simulator";

const pools = parsePools(JSON.stringify({
  scopes: { main: { region: "us-east-1" } },
  pools: { claude: { scope: "main", model: "us.anthropic.claude-3-5-sonnet-v2:0", quota: { tokensPerMinute: 100000 } } },
}), "pools.json");
await using producer = openProducer(pools, process.env.REDIS_URL, { namespace: process.env.NAMESPACE });
const accepted = await producer.accept({ pool: "claude", lane: "standard", prompt: "Why?", maxTokens: 10 });
const found = await producer.find(accepted.id);
await using simulator = await start();
const { status } = await fetch(simulator.url + "/_sim/health");
const limiter = createMemoryLimiter({ now: Date.now });
process.stdout.write(JSON.stringify({
  accepted: accepted.type,
  state: found.state,
  pool: parseJobId(newJobId("claude", "bulk", Date.now())).pool,
  status,
  limiter: typeof limiter.admit,
}));
`;

const packedSchema = z.object({ filename: z.string(), files: z.array(z.object({ path: z.string() })) });

const manifestSchema = z.looseObject({ name: z.string(), private: z.boolean().optional() });

/** The pnpm that runs the tests: a program of its own since 12, a script before. Its store has all that is needed. */
async function pnpm(cwd: string, ...args: string[]): Promise<string> {
  const own = process.env["npm_execpath"] ?? "";
  const isScript = /\.[cm]?js$/.test(own);
  const [file, first] = !own.includes("pnpm")
    ? ["npx", ["-y", "pnpm@12"]]
    : [isScript ? process.execPath : own, isScript ? [own] : []];
  const { stdout } = await promisify(execFile)(file, [...first, ...args], {
    cwd,
    env: { PATH: process.env["PATH"], HOME: process.env["HOME"] },
    maxBuffer: 50_000_000,
  });
  return stdout;
}

test("each packs, installs and runs", { timeout: 180_000 }, async () => {
  const folder = await mkdtemp(join(tmpdir(), "sluice-packed-"));
  onTestFinished(async () => rm(folder, { recursive: true, force: true }));
  await promisify(execFile)(process.execPath, [join(ROOT, "node_modules/typescript/bin/tsc"), "-b"], {
    cwd: ROOT,
  });

  const published: string[] = [];
  for (const name of await readdir(join(ROOT, "packages"))) {
    const text = await readFile(join(ROOT, "packages", name, "package.json"), "utf8").catch(() => undefined);
    const manifest = text === undefined ? undefined : manifestSchema.parse(JSON.parse(text));
    if (manifest !== undefined && manifest.private !== true) published.push(name);
  }
  expect(published).toEqual(expect.arrayContaining(["installation", "job", "limits", "queue", "simulator"]));
  const tarballs = await Promise.all(
    published.map(async (name) => {
      const printed = await pnpm(
        join(ROOT, "packages", name),
        "pack",
        "--json",
        "--pack-destination",
        folder,
      );
      const { filename, files } = packedSchema.parse(JSON.parse(printed));
      const paths = files.map(({ path }) => path);
      expect(paths).toEqual(
        expect.arrayContaining(["README.md", "LICENSE", "dist/index.js", "dist/index.d.ts"]),
      );
      expect(paths.filter((path) => path.includes("tsbuildinfo"))).toEqual([]);
      // A map leads to a source that is there; what was built of one that is gone would ship for ever.
      const sources = paths
        .filter((path) => path.endsWith(".js.map"))
        .map((path) => path.replace(/^dist(.*)\.js\.map$/, "src$1.ts"));
      const gone = sources.filter((path) => !paths.includes(path));
      expect(gone, `dist of ${name} is old: run \`pnpm clean\``).toEqual([]);
      return [`@sluice/${name}`, `file:${filename}`] as const;
    }),
  );
  const all = Object.fromEntries(tarballs);
  await writeFile(
    join(folder, "package.json"),
    JSON.stringify({ name: "theirs", type: "module", private: true, dependencies: all }),
  );
  // Until they are on a registry, those that they need of each other come from here too.
  await writeFile(
    join(folder, "pnpm-workspace.yaml"),
    JSON.stringify({ packages: ["."], overrides: all, pmOnFail: "ignore", strictDepBuilds: false }),
  );
  await pnpm(folder, "install", "--prefer-offline", "--no-frozen-lockfile");

  const entries = USED.map((name) => `import(${JSON.stringify(name)})`).join(", ");
  const imports = await promisify(execFile)(
    process.execPath,
    [
      "--input-type=module",
      "--eval",
      `const all = await Promise.all([${entries}]); process.stdout.write(String(all.length));`,
    ],
    { cwd: folder },
  );
  expect(imports.stdout).toBe(String(USED.length));

  await writeFile(join(folder, "program.js"), PROGRAM);
  const { stdout } = await promisify(execFile)(process.execPath, ["program.js"], {
    cwd: folder,
    env: { PATH: process.env["PATH"], REDIS_URL: inject("redisUrl"), NAMESPACE: `packed-${process.pid}` },
  });
  expect(JSON.parse(stdout)).toEqual({
    accepted: "accepted",
    state: "waiting",
    pool: "claude",
    status: 200,
    limiter: "function",
  });
});
