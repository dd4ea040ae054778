import { gzipSync } from "node:zlib";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodePayload, encodePayload } from "../src/payload.ts";

describe("a payload", () => {
  test("is decoded as it was encoded", async () => {
    await fc.assert(
      fc.asyncProperty(fc.jsonValue(), fc.nat({ max: 6_000 }), async (value, padding) => {
        const request = { value, padding: "ä".repeat(padding) };
        // JSON knows no -0 and keeps no prototype: what counts is what JSON keeps.
        expect(await decodePayload(await encodePayload(request))).toEqual(
          JSON.parse(JSON.stringify(request)),
        );
      }),
    );
  });

  test("stays readable up to 4 KB of UTF-8 and is compressed above", async () => {
    // Two quotes around it.
    const longest = "ä".repeat(2_047);
    expect(await encodePayload(longest)).toEqual({ encoding: "json", json: `"${longest}"` });
    const packed = await encodePayload(`${longest}ä`);
    expect(packed.encoding).toBe("gzip");
    expect(JSON.stringify(packed).length).toBeLessThan(200);
  });

  test("that is damaged is refused", async () => {
    await expect(decodePayload({ encoding: "json", json: "{" })).rejects.toThrow("JSON");
    await expect(decodePayload({ encoding: "gzip", base64: "AAAA" })).rejects.toThrow(
      "incorrect header check",
    );
    const cut = gzipSync(JSON.stringify("x".repeat(9_000)))
      .subarray(0, 30)
      .toString("base64");
    await expect(decodePayload({ encoding: "gzip", base64: cut })).rejects.toThrow("unexpected end of file");
  });

  test("that unpacks to more than we ever accept ends before it fills the memory", async () => {
    const bomb = gzipSync(Buffer.alloc(40 * 1024 * 1024)).toString("base64");
    await expect(decodePayload({ encoding: "gzip", base64: bomb })).rejects.toThrow(
      "Cannot create a Buffer larger",
    );
  });
});
