/** Where a model may write, and what the programs may do at AWS. */
import { readFile } from "node:fs/promises";
import { must, mustAnswer, type AttackCase } from "../attack.ts";
import { askJson, ask } from "../http.ts";
import { LANE, OUTPUT, POOL } from "../pools.ts";

/** Not below the one place that the pool allows. */
const ELSEWHERE = [
  "s3://others/x",
  `${OUTPUT}-of-others/x`,
  `${OUTPUT}x`,
  "s3://answers",
  "s3://answers/",
  "s3://answers/other",
  "s3://answers/OF-SLUICE/x",
  "S3://answers/of-sluice/x",
  "s3://answers.evil/of-sluice/x",
  "s3://answers/%6ff-sluice/x",
  "s3://evil@answers/of-sluice/x",
  "s3:///answers/of-sluice/x",
  "s3://answers//of-sluice/x",
  "s3://answers/./of-sluice/x",
  "https://answers.s3.amazonaws.com/of-sluice/x",
  "arn:aws:s3:::answers/of-sluice",
  "s3://evil/?s3://answers/of-sluice/",
  "s3://evil/#s3://answers/of-sluice/",
  "s3://answers\\of-sluice/x",
  "\ts3://answers/of-sluice/x",
  "",
];

async function text(path: string): Promise<string> {
  return readFile(new URL(`../../../../${path}`, import.meta.url), "utf8");
}

/** Statements of one policy of the stack. */
async function policy(name: string): Promise<string> {
  const yaml = await text("deploy/dynamodb/dead-letters.yaml");
  const [, found = ""] = new RegExp(`\\n  ${name}:\\n([^]*?)\\n(?:  \\w|\\n|Outputs)`).exec(yaml) ?? [];
  must(found !== "", `the stack has no ${name}`);
  return found;
}

export const outputs: AttackCase = {
  name: "outputs",
  trials: [
    {
      name: "accepted",
      holds: `No job is accepted whose answer would go anywhere but below ${OUTPUT}`,
      run: async (site) => {
        const { url } = await site.api();
        const job = { pool: POOL, lane: LANE, kind: "async", modelInput: { a: 1 } };
        for (const outputS3Uri of ELSEWHERE) {
          mustAnswer(
            await askJson(url, "/v1/jobs", { ...job, outputS3Uri }),
            [400, 422],
            JSON.stringify(outputS3Uri),
          );
        }
        mustAnswer(
          await askJson(url, "/v1/jobs", { ...job, outputS3Uri: `${OUTPUT}/a` }),
          [202],
          "the right place",
        );
      },
    },
    {
      name: "edited",
      holds: "No letter is edited so that its answer would go elsewhere",
      run: async (site) => {
        const { url } = await site.board("local");
        const request = { modelInput: { a: 1 }, outputS3Uri: `${OUTPUT}/a` };
        const id = await site.dead({ kind: "async", request, errorClass: "OutputException" });
        const revision = await site.revision(id);
        const headers = { "content-type": "application/x-www-form-urlencoded" };
        for (const outputS3Uri of ELSEWHERE) {
          const body = new URLSearchParams({
            revision,
            request: JSON.stringify({ ...request, outputS3Uri }),
          });
          const path = `/dead-letters/letter/${id}/edit`;
          const reply = await ask(url, path, { method: "POST", headers, body: body.toString() });
          mustAnswer(reply, [400, 422], JSON.stringify(outputS3Uri));
        }
        must((await site.revision(id)) === revision, "the letter has changed");
      },
    },
    {
      name: "rights of the API",
      holds: "The API, which asks nobody who he is, may read one letter at AWS and do nothing else",
      run: async () => {
        const actions = [...(await policy("ApiPolicy")).matchAll(/dynamodb:(\w+|\*)/g)].map(
          ([, action]) => action,
        );
        must(actions.join(" ") === "GetItem", `it may ${actions.join(" ")}`);
      },
    },
    {
      name: "rights of all",
      holds: "No policy of the stack allows everything, of any service or on any resource",
      run: async () => {
        const yaml = await text("deploy/dynamodb/dead-letters.yaml");
        must(!/dynamodb:\*|Action: *["']?\*|Resource: *["']?\*/.test(yaml), "a policy allows everything");
      },
    },
    {
      name: "what builds the image",
      holds: "The image is built with the pnpm that the workspace names, by its exact version",
      run: async () => {
        const { packageManager } = JSON.parse(await text("package.json"));
        must(/^pnpm@\d+\.\d+\.\d+$/.test(String(packageManager)), `package.json names ${packageManager}`);
        const dockerfile = await text("Dockerfile");
        must(dockerfile.includes("packageManager"), "the Dockerfile does not use it");
        must(!/pnpm@(latest|\d+\s|\d+$)|npx -y pnpm/m.test(dockerfile), "the Dockerfile takes another");
        must(/^USER node$/m.test(dockerfile), "it runs as root");
      },
    },
  ],
};
