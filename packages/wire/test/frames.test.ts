import { EventStreamCodec } from "@smithy/core/event-streams";
import { fromUtf8, toUtf8 } from "@smithy/core/serde";
import { assert, property, record, string, stringMatching, uint8Array } from "fast-check";
import { describe, expect, test } from "vitest";
import { encodeFrame, encodeMessage } from "../src/index.ts";

const codec = new EventStreamCodec(toUtf8, fromUtf8);

const anyMessage = record({
  name: stringMatching(/^:?[a-z-]{1,40}$/),
  value: string({ maxLength: 200, unit: "grapheme" }),
  payload: uint8Array({ maxLength: 2_000 }),
});

describe("the SDK's codec", () => {
  test("reads back every message we write", () => {
    assert(
      property(anyMessage, ({ name, value, payload }) => {
        const { headers, body } = codec.decode(encodeMessage({ [name]: value }, payload));
        expect(headers).toEqual({ [name]: { type: "string", value } });
        expect(Buffer.from(body)).toEqual(Buffer.from(payload));
      }),
      { numRuns: 500 },
    );
  });

  test("writes the same bytes", () => {
    assert(
      property(anyMessage, ({ name, value, payload }) => {
        const theirs = codec.encode({ headers: { [name]: { type: "string", value } }, body: payload });
        expect(encodeMessage({ [name]: value }, payload)).toEqual(Buffer.from(theirs));
      }),
      { numRuns: 500 },
    );
  });
});

test("an exception frame names its type in lower camel case", () => {
  const { headers } = codec.decode(
    encodeFrame({ kind: "exception", name: "throttlingException", payload: { message: "no" } }),
  );
  expect(headers).toMatchObject({
    ":message-type": { value: "exception" },
    ":exception-type": { value: "throttlingException" },
    ":content-type": { value: "application/json" },
  });
});
