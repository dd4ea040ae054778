/** The CloudFormation template of the table, as far as the tests look into it. */
import { readFileSync } from "node:fs";
import { parse } from "yaml";
import { z } from "zod";

const keySchema = z.array(z.object({ AttributeName: z.string(), KeyType: z.enum(["HASH", "RANGE"]) }));

const resource = z.union([
  z.object({ "Fn::GetAtt": z.array(z.string()) }),
  z.object({ "Fn::Sub": z.string() }),
]);

const policySchema = z.object({
  Properties: z.object({
    PolicyDocument: z.object({
      Statement: z.array(
        z.object({
          Effect: z.literal("Allow"),
          Action: z.array(z.string()),
          Resource: z.union([resource, z.array(resource)]),
        }),
      ),
    }),
  }),
});

const templateSchema = z.object({
  Resources: z.object({
    Table: z.object({
      DeletionPolicy: z.string(),
      UpdateReplacePolicy: z.string(),
      Properties: z.object({
        BillingMode: z.literal("PAY_PER_REQUEST"),
        DeletionProtectionEnabled: z.boolean(),
        AttributeDefinitions: z.array(z.object({ AttributeName: z.string(), AttributeType: z.literal("S") })),
        KeySchema: keySchema,
        GlobalSecondaryIndexes: z.array(
          z.object({
            IndexName: z.string(),
            KeySchema: keySchema,
            Projection: z.object({
              ProjectionType: z.literal("INCLUDE"),
              NonKeyAttributes: z.array(z.string()),
            }),
          }),
        ),
        TimeToLiveSpecification: z.object({ AttributeName: z.string(), Enabled: z.boolean() }),
        PointInTimeRecoverySpecification: z.object({ PointInTimeRecoveryEnabled: z.boolean() }),
      }),
    }),
    WorkerPolicy: policySchema,
    BoardPolicy: policySchema,
    ApiPolicy: policySchema,
    CheckPolicy: policySchema,
  }),
});

const file = new URL("../../../deploy/dynamodb/dead-letters.yaml", import.meta.url);

export const { Resources: template } = templateSchema.parse(parse(readFileSync(file, "utf8")));

/** What a policy allows, one line each: `PutItem` on the table, `Query byLane` on an index. Sorted. */
export function allowedBy(policy: "WorkerPolicy" | "BoardPolicy" | "ApiPolicy" | "CheckPolicy"): string[] {
  return template[policy].Properties.PolicyDocument.Statement.flatMap(({ Action, Resource }) =>
    [Resource].flat().flatMap((on) => {
      const index = "Fn::Sub" in on ? ` ${on["Fn::Sub"].replace("${Table.Arn}/index/", "")}` : "";
      return Action.map((action) => `${action.replace("dynamodb:", "")}${index}`);
    }),
  ).toSorted();
}
