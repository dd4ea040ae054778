import { expect, test } from "vitest";
import { z } from "zod";
import { deploymentEnv, listenerEnv, parseEnv } from "../src/index.ts";

const schema = z.object({ ...deploymentEnv, ...listenerEnv(8080) });
const least = { SLUICE_POOLS: "pools.yaml", REDIS_URL: "redis://127.0.0.1:6379" };

test("fills in what has a default", () => {
  expect(parseEnv(schema, least)).toEqual({
    ...least,
    SLUICE_NAMESPACE: "sluice",
    SLUICE_DEAD_LETTER_TABLE: "sluice-dead-letters",
    LOG_LEVEL: "info",
    HOST: "127.0.0.1",
    PORT: 8080,
    SLUICE_MAX_CONNECTIONS: 4_000,
    SLUICE_ALLOW_UNAUTHENTICATED: false,
    SLUICE_ALLOWED_HOSTS: [],
  });
});

test("turns text into numbers and yes or no", () => {
  const source = { ...least, PORT: "0", SLUICE_ALLOW_UNAUTHENTICATED: "true", UNRELATED: "x" };
  expect(parseEnv(schema, source)).toMatchObject({ PORT: 0, SLUICE_ALLOW_UNAUTHENTICATED: true });
});

test("names every problem at once, each on a line", () => {
  const source = { REDIS_URL: "http://cache", LOG_LEVEL: "loud", PORT: "70000" };
  expect(() => parseEnv(schema, source)).toThrow(
    /^The environment is not as it should be:\n {2}SLUICE_POOLS: .+\n {2}REDIS_URL: .+\n {2}LOG_LEVEL: .+\n {2}PORT: .+\ndocs\/deployment\.md has every variable$/,
  );
});

test.each([
  ["PORT", "abc", "Expected a whole number from 0 to 65535, found 'abc'"],
  ["PORT", "1e3", "Expected a whole number from 0 to 65535, found '1e3'"],
  ["PORT", "-1", "Expected a whole number from 0 to 65535, found '-1'"],
  ["LOG_LEVEL", "loud", "Expected one of trace, debug, info, warn, error, silent, found 'loud'"],
  ["SLUICE_NAMESPACE", "My Space", "Expected lower case letters, digits and '-', found 'My Space'"],
  ["SLUICE_NAMESPACE", "a{b}", "Expected lower case letters, digits and '-', found 'a{b}'"],
  [
    "SLUICE_DEAD_LETTER_TABLE",
    "a b/c",
    "Expected the name of a DynamoDB table, 3 to 255 letters, digits, '_', '-' and '.', found 'a b/c'",
  ],
  ["AWS_REGION", "eu west", "Expected an AWS Region such as us-east-1, found 'eu west'"],
  ["AWS_REGION", "", "Expected an AWS Region such as us-east-1, found ''"],
  ...["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL_BEDROCK_RUNTIME"].flatMap((name) =>
    ["127.0.0.1:4010", "localhost:8000", "nonsense", "http://", "redis://h"].map((value) => [
      name,
      value,
      "Expected a URL such as http://127.0.0.1:8000, with http:// or https://",
    ]),
  ),
  ["SLUICE_ALLOW_UNAUTHENTICATED", "perhaps", "Expected true or false, found 'perhaps'"],
])("says of %s=%s what was expected and what was found", (name, value, says) => {
  expect(() => parseEnv(schema, { ...least, [name]: value })).toThrow(`  ${name}: ${says}\n`);
});

test.each(["HOST", "PORT", "LOG_LEVEL", "SLUICE_NAMESPACE", "SLUICE_DEAD_LETTER_TABLE", "AWS_ENDPOINT_URL"])(
  "takes an empty %s as one that is not set",
  (name) => {
    expect(parseEnv(schema, { ...least, [name]: "" })).toEqual(parseEnv(schema, least));
  },
);

test("an empty variable that must be there is missing", () => {
  expect(() => parseEnv(schema, { ...least, SLUICE_POOLS: "", REDIS_URL: "" })).toThrow(
    /SLUICE_POOLS: Expected the path of the pools file\n {2}REDIS_URL: Expected/,
  );
});

test.each(["redis://h", "rediss://user:secret@h:6380/1"])("takes %s as a Redis URL", (url) => {
  expect(parseEnv(schema, { ...least, REDIS_URL: url }).REDIS_URL).toBe(url);
});

test("does not show the value of a variable that is wrong: it may be a secret", () => {
  const source = { ...least, REDIS_URL: "redi://user:hunter2@h" };
  expect(() => parseEnv(schema, source)).toThrow(expect.not.stringContaining("hunter2"));
});
