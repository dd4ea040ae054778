import { describe, expect, test } from "vitest";
import { scrubError, scrubText, scrubUrl } from "../src/index.ts";

const SECRET = "hunter2";
const PROMPT = "Kurpfalz-Zuckerwatte";

/** As ioredis, body-parser and the AWS SDK throw them. */
function carrying(fields: object, message = "It failed"): Error {
  return Object.assign(new Error(message), fields);
}

describe("scrubText", () => {
  test.each([
    ["redis://:hunter2@h:6379", "redis://:***@h:6379"],
    ["rediss://user:hunter2@h:6380/1", "rediss://user:***@h:6380/1"],
    ["at redis://u:p@ss/hunter2@h, then", "at redis://u:***@h, then"],
    ["redis://h:6379?password=hunter2&db=1", "redis://h:6379?password=***&db=1"],
    ["'http://a:hunter2@x' and 'http://b:hunter2@y'", "'http://a:***@x' and 'http://b:***@y'"],
    ["http://127.0.0.1:3000/v1/jobs", "http://127.0.0.1:3000/v1/jobs"],
    ["at redis://:hun ter2@host/0, then", "at redis://:***@host/0, then"],
    ['rediss://default:abc"hunter2@host', "rediss://default:***@host"],
    ["Invalid URL: redis://u:hun<ter'2@h", "Invalid URL: redis://u:***@h"],
    ["redis://u:12/34hunter2@h:6379/0", "redis://u:***@h:6379/0"],
    ["redis://u:1?hunter2=x@h", "redis://u:***@h"],
    ["AUTH default hunter2", "AUTH ***"],
    ["HELLO 3 AUTH default 'hunter 2' SETNAME x", "HELLO 3 AUTH *** SETNAME x"],
    ["NOAUTH Authentication required.", "NOAUTH Authentication required."],
    ["WRONGPASS invalid username-password pair", "WRONGPASS invalid username-password pair"],
    [
      "https://b/k?X-Amz-Signature=hunter2&X-Amz-Credential=AKIA&X-Amz-Date=1",
      "https://b/k?X-Amz-Signature=***&X-Amz-Credential=***&X-Amz-Date=1",
    ],
    ["Authorization: Bearer hunter2", "Authorization: ***"],
    [
      "ann@desk said redis://h:6379 is away, and ben@desk too",
      "ann@desk said redis://h:6379 is away, and ben@desk too",
    ],
    ["ERR unknown command 'X', with args beginning with: 'hunter2'", "ERR unknown command 'X'"],
  ])("%s is told as %s", (text, told) => {
    expect(scrubText(text)).toBe(told);
  });

  test.each([PROMPT, `{"a": ${PROMPT}`, `"${PROMPT}`, `[1, ${PROMPT}, "${"x".repeat(99)}"]`])(
    "keeps nothing of %s, which was no JSON",
    (text) => {
      const told = scrubError(thrownBy(() => void JSON.parse(text)));
      expect(told.name).toBe("SyntaxError");
      expect(JSON.stringify(told)).not.toMatch(/Kurpfalz|Zucker|watte/);
    },
  );
});

function thrownBy(work: () => void): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  return undefined;
}

describe("scrubUrl", () => {
  test.each([
    ["user:hunter2@127.0.0.1:6379", "***@127.0.0.1:6379"],
    ["redis//:hunter2@h", "***@h"],
    ["redis://u:hunter 2@h", "redis://u:***@h"],
    ["redis://u:hunter2@h:6379", "redis://u:***@h:6379"],
    ["127.0.0.1:6379", "127.0.0.1:6379"],
  ])("%s is shown as %s", (text, told) => {
    expect(scrubUrl(text)).toBe(told);
  });
});

describe("scrubError", () => {
  test.each([
    ["the arguments of a command", carrying({ command: { name: "auth", args: [SECRET] } })],
    ["a body", carrying({ body: `{"prompt": ${SECRET}`, type: "entity.parse.failed", status: 400 })],
    ["an answer with its headers", carrying({ $response: { headers: { authorization: SECRET } } })],
    ["a URL's password in the message", carrying({}, `connect redis://:${SECRET}@h`)],
    ["a cause", new Error("outer", { cause: carrying({ args: [SECRET] }, `at redis://:${SECRET}@h`) })],
    ["errors of an aggregate", new AggregateError([carrying({ body: SECRET }, `redis://u:${SECRET}@h`)])],
    ["a message of many lines, in the stack", carrying({}, `first\nredis://:${SECRET}@h`)],
    ["an object", { password: SECRET }],
    ["a text", `redis://:${SECRET}@h`],
  ])("tells nothing of %s", (_, error) => {
    expect(JSON.stringify(scrubError(error))).not.toContain(SECRET);
  });

  test("tells name, code, message, frames and cause", () => {
    const cause = carrying({ code: "ECONNREFUSED" }, "connect ECONNREFUSED 127.0.0.1:6379");
    const told = scrubError(new TypeError("It broke", { cause }));
    expect(told).toMatchObject({
      name: "TypeError",
      message: "It broke",
      cause: { name: "Error", code: "ECONNREFUSED", message: cause.message },
    });
    expect(told.stack).toMatch(/^\s+at .*scrub\.test\.ts/);
    expect(told.stack).not.toContain("It broke");
  });

  test("is bounded in depth and length, and never throws", () => {
    let error = new Error("x".repeat(1_000_000));
    for (let depth = 0; depth < 1_000; depth += 1) error = new Error("y".repeat(10_000), { cause: error });
    expect(JSON.stringify(scrubError(error)).length).toBeLessThan(40_000);
    const ring = new Error("ring");
    ring.cause = ring;
    expect(JSON.stringify(scrubError(ring)).length).toBeLessThan(40_000);
    const hostile = Object.defineProperty({}, "message", {
      get: () => {
        throw new Error(SECRET);
      },
    });
    expect(scrubError(hostile)).toEqual({ name: "Thrown", message: "" });
  });
});
