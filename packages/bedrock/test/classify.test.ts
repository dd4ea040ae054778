import {
  ModelErrorException,
  ThrottlingException,
  ValidationException,
} from "@aws-sdk/client-bedrock-runtime";
import { FAILURES, failureSchema, type FailureRow, type FailureRule } from "@sluice/job";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { timedOut } from "../src/failures/classify.ts";
import { classify, type Verdict } from "../src/index.ts";
import { modelled, named, samples, system, unmodelled } from "./samples.ts";

const NOW = Date.UTC(2026, 10, 22, 12);

function failed(error: unknown): Verdict & { type: "failed" } {
  const verdict = classify(error, NOW);
  if (verdict.type !== "failed") throw new Error("Expected a failure, got a filtered answer");
  return verdict;
}

const ruleNames = Object.keys(samples).filter((name): name is FailureRule => name in FAILURES);

describe("every row of the table", () => {
  const rows = ruleNames.flatMap((name) => samples[name].map((error, index) => ({ name, index, error })));
  test.each(rows)("$name, sample $index", ({ name, error }) => {
    const rule: FailureRow = FAILURES[name];
    const { failure, ...verdict } = failed(error);
    expect(verdict).toEqual({ type: "failed", rule: name });
    expect(failure).toMatchObject({ kind: rule.kind });
    expect(failure.dimension).toBe(rule.dimension);
    expect(failureSchema.safeParse(failure).error).toBeUndefined();
    // An open row keeps the name it was given, the others have names of their own.
    expect(rule.errorClasses.length === 0 || rule.errorClasses.includes(failure.errorClass)).toBe(true);
  });
});

describe("error class", () => {
  test.each([
    ["the wire name of an exception nobody documented", unmodelled("SlowDown", { status: 429 }), "SlowDown"],
    ["the status when there is no name", unmodelled("Unknown", { status: 529 }), "HttpStatus529"],
    [
      "the status of a page of HTML",
      Object.assign(new SyntaxError("<"), { $metadata: { httpStatusCode: 503 } }),
      "HttpStatus503",
    ],
    ["a programming error's own name", new RangeError("x"), "RangeError"],
    ["a stream's name in capitals", named("throttlingException"), "ThrottlingException"],
    ["nothing to go by", {}, "UnknownError"],
    ["a name with text in it", named("my secret"), "UnknownError"],
  ])("%s", (_, error, errorClass) => {
    expect(failed(error).failure.errorClass).toBe(errorClass);
  });
});

describe("what broke before the request was on its way has cost nothing", () => {
  test.each([
    system("ECONNRESET", { name: "TimeoutError" }),
    system("EPIPE"),
    system("ETIMEDOUT", { name: "TimeoutError" }),
    named("Error", "socket hang up", { code: "ECONNRESET" }),
    named("TimeoutError", "the request socket timed out after 100 ms of inactivity"),
    new Error("outer", { cause: system("ERR_HTTP2_STREAM_CANCEL") }),
  ])("%s", (error) => {
    const charge = (sent?: boolean): string => {
      const verdict = classify(error, NOW, { sent });
      return verdict.type === "failed" ? FAILURES[verdict.rule].charge : verdict.type;
    };
    expect([charge(false), charge(true), charge()]).toEqual(["nothing", "estimate", "estimate"]);
  });

  test("nor does a refusal change that was answered before all of it was written", () => {
    const refused = unmodelled("ValidationException", { status: 400 });
    expect(classify(refused, NOW, { sent: false })).toMatchObject({ rule: "invalid" });
  });

  test("a call that never got a connection in its time", () => {
    expect(timedOut(80, { sent: false })).toMatchObject({
      rule: "unreachable",
      failure: { message: "No connection within 80 ms" },
    });
    expect(timedOut(80)).toMatchObject({ rule: "timeout" });
  });
});

describe("content filter by exception", () => {
  test.each([
    modelled(ValidationException, "This request has been blocked by our content filters."),
    modelled(ValidationException, "Violates our Responsible AI policy"),
    modelled(ModelErrorException, "The content filter refused", { originalStatusCode: 500 }),
  ])("%s", (error) => {
    expect(classify(error, NOW)).toEqual({ type: "filtered" });
  });

  test("not by other exceptions that mention it", () => {
    expect(failed(modelled(ThrottlingException, "content filter: too many requests")).rule).toBe(
      "requestsThrottled",
    );
  });
});

describe("what the server said beside the error", () => {
  test.each([
    [{ "retry-after": "3" }, 3_000],
    [{ "retry-after": "Sun, 22 Nov 2026 12:00:10 GMT" }, 10_000],
    [{ "retry-after": "Sun, 22 Nov 2026 11:00:00 GMT" }, 0],
    [{ "x-amz-retry-after": "250", "retry-after": "3" }, 250],
    [{ "retry-after": "soon" }, undefined],
    [{ "retry-after": "" }, undefined],
    [{}, undefined],
  ])("%j waits %s ms", (headers, retryAfterMs) => {
    expect(failed(unmodelled("Unknown", { status: 429, headers })).failure.retryAfterMs).toBe(retryAfterMs);
  });

  test("request id and status", () => {
    expect(failed(unmodelled("InternalFailure", { status: 500 })).failure).toMatchObject({
      status: 500,
      requestId: "r-1",
    });
  });

  test("a status of success is not passed on as one of the failure", () => {
    expect(failed(system("ECONNRESET", { $metadata: { httpStatusCode: 200 } })).failure).not.toHaveProperty(
      "status",
    );
  });
});

test("whatever is thrown becomes a failure that can be stored", () => {
  const fields = fc.record(
    {
      name: fc.anything(),
      message: fc.oneof(fc.string(), fc.json(), fc.anything()),
      code: fc.anything(),
      cause: fc.anything(),
      $metadata: fc.oneof(
        fc.anything(),
        fc.record({ httpStatusCode: fc.integer(), requestId: fc.anything() }),
      ),
      $response: fc.oneof(fc.anything(), fc.record({ headers: fc.dictionary(fc.string(), fc.anything()) })),
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(fc.oneof(fc.anything(), fields), (error) => {
      const verdict = classify(error, NOW);
      expect(verdict.type === "filtered" || failureSchema.safeParse(verdict.failure).success).toBe(true);
    }),
  );
});

test("causes that go in a circle end", () => {
  const one = new Error("one");
  const two = new Error("two", { cause: one });
  one.cause = two;
  expect(failed(one).rule).toBe("unknown");
});
