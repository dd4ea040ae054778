/** Whom a request asks for, and where it comes from. */
import { describe, expect, test } from "vitest";
import { hostCheck, isSafeFromOtherSites } from "../src/index.ts";

const from = (host: string | undefined, localAddress = "127.0.0.1") => ({
  headers: host === undefined ? {} : { host },
  socket: { localAddress },
});

describe("hostCheck", () => {
  const isOurs = hostCheck("10.0.0.7", ["sluice.internal", "API"]);

  test.each([
    "localhost",
    "localhost:3000",
    "LOCALHOST.",
    "127.0.0.1:3000",
    "[::1]:3000",
    "10.0.0.7",
    "sluice.internal:443",
    "api",
  ])("answers to %s", (host) => {
    expect(isOurs(from(host))).toBe(true);
  });

  test.each([
    "evil.example",
    "evil.example:3000",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "10.0.0.8",
    "user@localhost",
    "localhost:3000:4000",
    "evil.example/localhost",
    "[::1",
    "",
    undefined,
  ])("does not answer to %s", (host) => {
    expect(isOurs(from(host))).toBe(false);
  });

  test("answers to the address that a request came in on, in either spelling", () => {
    const open = hostCheck("0.0.0.0", []);
    expect(open(from("192.168.1.5:3000", "192.168.1.5"))).toBe(true);
    expect(open(from("192.168.1.5:3000", "::ffff:192.168.1.5"))).toBe(true);
    expect(open(from("[fd00::5]:3000", "fd00::5"))).toBe(true);
    expect(open(from("192.168.1.6:3000", "192.168.1.5"))).toBe(false);
    expect(open(from("0.0.0.0:3000", "192.168.1.5"))).toBe(false);
  });

  test("reads the authority of HTTP/2, and answers to anything when it was told so", () => {
    const headers = { ":authority": "localhost:3000" };
    expect(isOurs({ headers, socket: {} })).toBe(true);
    expect(hostCheck("127.0.0.1", ["*"])(from("evil.example"))).toBe(true);
  });
});

describe("isSafeFromOtherSites", () => {
  const host = "localhost:3000";
  test.each([
    ["a read", "GET", { "sec-fetch-site": "cross-site", host }],
    [
      "JSON, which a page may not send elsewhere",
      "POST",
      { "sec-fetch-site": "cross-site", "content-type": "application/json; charset=utf-8", host },
    ],
    ["a page of ours", "POST", { "sec-fetch-site": "same-origin", host }],
    ["a page of ours in an older browser", "POST", { origin: "http://localhost:3000", host }],
    ["no browser", "POST", { host }],
  ])("takes %s", (_, method, headers) => {
    expect(isSafeFromOtherSites(method, headers)).toBe(true);
  });

  test.each([
    [
      "a form of another site",
      { "sec-fetch-site": "cross-site", "content-type": "application/x-www-form-urlencoded" },
    ],
    ["a page on another port", { "sec-fetch-site": "same-site" }],
    ["an older browser", { origin: "http://evil.example" }],
    ["a page that hides where it is from", { origin: "null" }],
    [
      "a text that pretends",
      { origin: "http://evil.example", "content-type": "text/plain; application/json" },
    ],
  ])("refuses %s", (_, headers) => {
    expect(isSafeFromOtherSites("POST", { ...headers, host })).toBe(false);
    expect(isSafeFromOtherSites("DELETE", { ...headers, host })).toBe(false);
  });
});
