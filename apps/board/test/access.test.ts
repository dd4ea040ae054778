/** What the board believes about its callers, as its environment says. */
import { describe, expect, test } from "vitest";
import { hashPassword, verifyPassword } from "../src/access/passwords.ts";
import { accessSettings, type AccessEnv } from "../src/access/settings.ts";

const ENV: AccessEnv = { HOST: "127.0.0.1", SLUICE_ALLOW_UNAUTHENTICATED: false };
const HASH = `scrypt:16384:8:1:${"ab".repeat(16)}:${"cd".repeat(32)}`;
const SECRET = "0123456789abcdef01234567";

// Three hashes at the cost that ships: seconds on a busy machine.
test("a password is verified by its hash, and no other is", { timeout: 30_000 }, async () => {
  const hash = await hashPassword("correct horse battery");
  expect(hash).not.toContain("correct");
  expect(await verifyPassword("correct horse battery", hash)).toBe(true);
  expect(await verifyPassword("correct horse batterz", hash)).toBe(false);
  expect(await verifyPassword("", "scrypt:nonsense")).toBe(false);
});

describe("accessSettings", () => {
  test.each(["127.0.0.1", "::1", "localhost"])("asks nobody on %s", (HOST) => {
    expect(accessSettings({ ...ENV, HOST })).toEqual({ type: "local" });
  });

  test("refuses an address that strangers can reach while nobody is asked", () => {
    expect(() => accessSettings({ ...ENV, HOST: "0.0.0.0" })).toThrow(/SLUICE_BOARD_USERS/);
  });

  test("lets strangers look, and no more, where that was allowed", () => {
    expect(accessSettings({ ...ENV, HOST: "0.0.0.0", SLUICE_ALLOW_UNAUTHENTICATED: true })).toEqual({
      type: "open",
    });
  });

  test("reads users", () => {
    const SLUICE_BOARD_USERS = `ann:admin:${HASH}\n ben:viewer:${HASH}`;
    expect(accessSettings({ ...ENV, HOST: "0.0.0.0", SLUICE_BOARD_USERS })).toMatchObject({
      type: "basic",
      accounts: [
        { name: "ann", role: "admin", hash: HASH },
        { name: "ben", role: "viewer" },
      ],
    });
  });

  test.each([
    ["a password in clear", "ann:admin:letmein"],
    ["an unknown role", `ann:root:${HASH}`],
    ["no role", `ann:${HASH}`],
    ["a user twice", `ann:admin:${HASH} ann:viewer:${HASH}`],
    ["nobody", " "],
  ])("refuses %s, without quoting it", (_, SLUICE_BOARD_USERS) => {
    expect(() => accessSettings({ ...ENV, SLUICE_BOARD_USERS })).toThrow(/SLUICE_BOARD_USERS/);
    expect(() => accessSettings({ ...ENV, SLUICE_BOARD_USERS })).not.toThrow(/letmein/);
  });

  test.each([
    ["no secret", { SLUICE_BOARD_PROXY_PEERS: "10.0.0.5", SLUICE_BOARD_PROXY_GROUPS: "*=viewer" }],
    [
      "a short secret",
      {
        SLUICE_BOARD_PROXY_PEERS: "10.0.0.5",
        SLUICE_BOARD_PROXY_SECRET: "short",
        SLUICE_BOARD_PROXY_GROUPS: "*=viewer",
      },
    ],
    ["no groups", { SLUICE_BOARD_PROXY_PEERS: "10.0.0.5", SLUICE_BOARD_PROXY_SECRET: SECRET }],
    [
      "an unknown role",
      {
        SLUICE_BOARD_PROXY_PEERS: "10.0.0.5",
        SLUICE_BOARD_PROXY_SECRET: SECRET,
        SLUICE_BOARD_PROXY_GROUPS: "a=root",
      },
    ],
    [
      "a host name",
      {
        SLUICE_BOARD_PROXY_PEERS: "proxy.internal",
        SLUICE_BOARD_PROXY_SECRET: SECRET,
        SLUICE_BOARD_PROXY_GROUPS: "*=viewer",
      },
    ],
    [
      "everybody",
      {
        SLUICE_BOARD_PROXY_PEERS: "0.0.0.0/0",
        SLUICE_BOARD_PROXY_SECRET: SECRET,
        SLUICE_BOARD_PROXY_GROUPS: "*=viewer",
      },
    ],
    ["users as well", { SLUICE_BOARD_PROXY_PEERS: "10.0.0.5", SLUICE_BOARD_USERS: `ann:admin:${HASH}` }],
  ])("refuses a proxy with %s", (_, env) => {
    expect(() => accessSettings({ ...ENV, ...env })).toThrow(/^Expected/);
  });
});
