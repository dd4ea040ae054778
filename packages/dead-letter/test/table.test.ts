import { describe, expect, it } from "vitest";
import { tableDefinition } from "../src/index.ts";
import { differencesOf } from "../src/dynamodb/table.ts";
import { template } from "./template.ts";

describe("the template of the table", () => {
  const { Properties: table, ...policies } = template.Table;

  it("has the keys and indexes that ensureTable makes", () => {
    const { TableName: _, ...defined } = tableDefinition("dead-letters");
    const { BillingMode, AttributeDefinitions, KeySchema, GlobalSecondaryIndexes } = table;
    expect({ BillingMode, AttributeDefinitions, KeySchema, GlobalSecondaryIndexes }).toEqual(defined);
  });

  it("lets letters expire, and keeps the table from harm", () => {
    expect(table.TimeToLiveSpecification).toEqual({ AttributeName: "ttl", Enabled: true });
    expect(table.PointInTimeRecoverySpecification).toEqual({ PointInTimeRecoveryEnabled: true });
    expect(table.DeletionProtectionEnabled).toBe(true);
    expect(policies).toEqual({ DeletionPolicy: "Retain", UpdateReplacePolicy: "Retain" });
  });
});

describe("differencesOf", () => {
  const wanted = tableDefinition("dead-letters");

  it("finds none where there are none, whatever else the table has", () => {
    const [first, ...others] = wanted.GlobalSecondaryIndexes ?? [];
    const indexes = [...others, { ...first, IndexName: "ours" }, first].filter(
      (index) => index !== undefined,
    );
    expect(differencesOf({ ...wanted, GlobalSecondaryIndexes: indexes }, wanted)).toEqual([]);
  });

  it("names each, with what is there and what should be", () => {
    const actual = {
      KeySchema: [{ AttributeName: "pk", KeyType: "HASH" as const }],
      AttributeDefinitions: wanted.AttributeDefinitions?.filter(
        ({ AttributeName }) => AttributeName !== "at",
      ),
      GlobalSecondaryIndexes: wanted.GlobalSecondaryIndexes?.map((index) =>
        index.IndexName === "byLane"
          ? { ...index, Projection: { ProjectionType: "KEYS_ONLY" as const } }
          : index,
      ).filter(({ IndexName }) => IndexName !== "byTenant"),
    };
    expect(differencesOf(actual, wanted)).toEqual([
      "Expected the key of the table to be id (HASH), item (RANGE), got pk (HASH)",
      "Expected the projection of index 'byLane' to be INCLUDE expiresAt, got KEYS_ONLY",
      "Expected the key of index 'byTenant' to be byTenant (HASH), at (RANGE), got missing",
      "Expected the projection of index 'byTenant' to be INCLUDE expiresAt, got missing",
      "Expected the type of 'at' to be S, got missing",
    ]);
  });
});
